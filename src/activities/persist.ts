import { canonical } from '../model/canonical.js';
import { isObject, type Json } from '../model/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { Fact } from '../model/records.js';
import type { Plan } from '../engine/plan.js';
import { closedStatuses, type Answer, type Decision, type Effect, type RunState } from '../engine/state.js';
import { appendRun, type RunScope } from '../audit/index.js';
import type { Tx } from '../db/index.js';
import { putGrant, upsertAction } from '../store/actions.js';
import { upsertApproval } from '../store/approvals.js';
import { settleDecision } from '../store/decisions.js';
import { markDelivered } from '../store/outbox.js';
import { putStep, updateRun, type RunRow } from '../store/runs.js';
import { approvalRow } from './approval-doc.js';
import type { ActivityDeps } from './deps.js';
import { queuesIn } from './kit.js';
import { projectNotifications } from './notifications.js';
import type { KernelEffect, Stepped, Taken } from './types.js';

// One step of a run, written as a whole: state, projections, grants, records and the step's own
// answer in one transaction. Nothing of it is visible before all of it is durable.

export interface Step {
  readonly row: RunRow;
  readonly plan: Plan;
  readonly policySet: PolicySet;
  readonly before: RunState | null;
  readonly after: RunState;
  readonly effects: readonly Effect[];
  readonly actions: Decision['actions'];
  readonly facts: readonly Fact[];
  readonly rev: number;
  /** `step` or `outcome:<action>`: tells a policy check's step from an executor's. */
  readonly eventKey: string;
  /** Of each arrival, so that a step that runs again knows which it had taken. */
  readonly fingerprints: readonly string[];
  readonly taken: readonly Taken[];
  /** Decide messages among the arrivals. */
  readonly decided: readonly string[];
  readonly time: string;
}

export interface StoredStep {
  readonly fingerprints: readonly string[];
  readonly result: Stepped;
}

export async function persist(deps: ActivityDeps, tx: Tx, step: Step): Promise<Stepped> {
  const { row, after } = step;
  await updateRun(tx, row.id, {
    state: after.state,
    status: after.status,
    version: after.version,
    rev: step.rev,
    updatedAt: step.time,
    problem: after.problem,
    doc: canonical(after),
  });
  await projectActions(tx, step);
  await projectApprovals(tx, step);
  await projectNotifications(tx, step);
  const [, head] = await Promise.all([projectMessages(tx, step), recordFacts(deps, tx, step)]);
  const result: Stepped = {
    status: 'stepped',
    rev: step.rev,
    changed: changes(step.before, after),
    effects: step.effects.flatMap(kernelEffect),
    taken: step.taken,
    answers: step.effects.flatMap((one) =>
      one.kind === 'answer' ? [{ id: one.messageId, answer: one.answer }] : [],
    ),
    head,
  };
  const stored: StoredStep = { fingerprints: step.fingerprints, result };
  await putStep(tx, { run: row.id, rev: step.rev, eventKey: step.eventKey, result: JSON.stringify(stored) });
  return result;
}

async function projectActions(tx: Tx, step: Step): Promise<void> {
  for (const { action, status, error, outputRef } of step.actions) {
    await upsertAction(tx, {
      id: action.id,
      run: step.row.id,
      transition: action.transition,
      tool: action.tool,
      status,
      requestedBy: action.requester?.id ?? 'countersign',
      digest: action.digest,
      approval: action.approval,
      outputRef,
      error,
      createdAt: action.requestedAt,
      updatedAt: step.time,
    });
  }
  for (const effect of step.effects) {
    if (effect.kind === 'execute')
      await putGrant(tx, {
        action: effect.executing.action.id,
        run: step.row.id,
        digest: effect.executing.action.digest,
      });
  }
}

async function projectApprovals(tx: Tx, step: Step): Promise<void> {
  const kit = queuesIn(step.policySet);
  const known = new Map((step.before?.approvals ?? []).map((one) => [one.id, one]));
  for (const approval of step.after.approvals) {
    const old = known.get(approval.id);
    if (old !== undefined && canonical(old) === canonical(approval)) continue;
    await upsertApproval(
      tx,
      approvalRow(step.plan, step.row, step.after, approval, { time: step.time, kit }),
    );
  }
}

async function projectMessages(tx: Tx, step: Step): Promise<void> {
  const answers = new Map<string, Answer>(
    step.effects.flatMap((one) => (one.kind === 'answer' ? [[one.messageId, one.answer] as const] : [])),
  );
  await Promise.all([
    ...step.taken.map((taken) => (taken.kind === 'message' ? markDelivered(tx, taken.id) : null)),
    ...step.decided.map((id) => {
      const said = answers.get(id);
      if (said === undefined) return null;
      const { status } = said;
      return settleDecision(
        tx,
        id,
        status === 'refused' ? { status, code: said.code } : { status: 'applied', code: null },
      );
    }),
  ]);
}

/** A run's own chain ends with the record that closes it; what comes later is the service's to record. */
async function recordFacts(deps: ActivityDeps, tx: Tx, step: Step): Promise<string> {
  const scope: RunScope = {
    run: step.row.id,
    environment: step.row.environment,
    flow: step.row.flow,
    planHash: step.row.planHash,
    traceId: step.row.traceId,
    workflowId: step.row.id,
    firstRunId: '',
  };
  const wasClosed = step.before !== null && closedStatuses.includes(step.before.status);
  const end = wasClosed ? 0 : closingIndex(step.facts) + 1;
  const own = step.facts.slice(0, end);
  const late = step.facts.slice(end).map((fact) => ({
    ...fact,
    key: `${step.row.id}:${fact.key}`,
    about: step.row.id,
    flow: step.row.flow,
    environment: step.row.environment,
    traceId: step.row.traceId,
  }));
  if (late.length > 0) await deps.serviceChain.appendIn(tx, late);
  return (await appendRun(tx, scope, own, { isFirst: step.before === null })).head;
}

const closingTypes: readonly Fact['type'][] = [
  'run.completed',
  'run.cancelled',
  'run.failed',
  'run.timed_out',
];

function closingIndex(facts: readonly Fact[]): number {
  const at = facts.findIndex((fact) => closingTypes.includes(fact.type));
  return at === -1 ? facts.length - 1 : at;
}

function changes(before: RunState | null, after: RunState): Partial<RunState> {
  if (before === null) return after;
  const old: Record<string, unknown> = { ...before };
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => !same(old[key], value)));
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (isJson(a) && isJson(b) && canonical(a) === canonical(b));
}

function isJson(value: unknown): value is Json {
  return value === null || isObject(value) || Array.isArray(value);
}

function kernelEffect(effect: Effect): KernelEffect[] {
  if (effect.kind === 'answer') return [];
  if (effect.kind !== 'execute') return [effect];
  return [
    {
      kind: 'execute',
      action: effect.executing.action.id,
      timeoutMs: effect.executing.reliability.timeoutMs,
    },
  ];
}
