import { sameJson } from '../../model/values/canonical.js';
import { giveWayBefore } from '../../model/give-way.js';
import type { PolicySet } from '../../model/policy-set.js';
import { closesRun, type Fact, type PayloadRef } from '../../model/records.js';
import type { MessageKind } from '../../model/message.js';
import type { Plan } from '../../engine/plan.js';
import { prune, wakeTime, wayOn } from '../../engine/index.js';
import {
  closedStatuses,
  type Answer,
  type EventResult,
  type Effect,
  type RunState,
  type ShownProblem,
} from '../../engine/state.js';
import { appendRun, type RunScope } from '../../audit/index.js';
import { together, type Tx } from '../../db/index.js';
import { putGrant, upsertAction } from '../../store/runs/actions.js';
import { upsertApproval } from '../../store/approvals/approvals.js';
import { settleDecision } from '../../store/approvals/decisions.js';
import { putEvidence } from '../../store/runs/evidence.js';
import { answerMessage, markTaken } from '../../store/runs/messages.js';
import { putStep, updateRun, type RunRow } from '../../store/runs/runs.js';
import { makeApprovalRow, shownBefore } from './approval-doc.js';
import type { ActivityDeps } from '../deps.js';
import { storeDocument, type ArrivedValue, type Holdings, type LoadedRun } from './document.js';
import { queuesIn } from './kit.js';
import { leaseMs } from '../execute/leases.js';
import { projectNotifications } from './notifications.js';
import type { Stepped } from '../types.js';

// Writes a step of a run as a whole: state, projections, grants, records and the step's own result in one transaction. Nothing of
// it is visible before all of it is durable.

export interface Step {
  readonly row: RunRow;
  /** Null: it could not be read, and the run is made stuck without it. */
  readonly plan: Plan | null;
  readonly policySet: PolicySet;
  readonly before: LoadedRun | null;
  readonly after: RunState;
  readonly effects: readonly Effect[];
  readonly actions: EventResult['actions'];
  readonly facts: readonly Fact[];
  readonly rev: number;
  /** What this rev was taken for: `step`, `outcome:<action>` or `forked:…`. */
  readonly eventKey: string;
  /** One for each arrival, so that a step that runs again knows which arrivals it had taken. */
  readonly fingerprints: readonly string[];
  readonly taken: readonly TakenMessage[];
  /** The values that came with the messages that it took. */
  readonly arrived: readonly ArrivedValue[];
  readonly isForked: boolean;
  readonly time: string;
}

/** A message that this step takes, and how many bells have come for it by now. */
export interface TakenMessage {
  readonly id: string;
  readonly kind: MessageKind;
  readonly bells: number;
}

/** The run's problem, with what a person can do about it while the run is stuck. Never throws, also where our own code fails over the plan. */
export function addWayOn(run: RunState, plan: Plan | null): ShownProblem | null {
  let next: string | null;
  try {
    next = wayOn(run, plan);
  } catch {
    next = wayOn(run, null);
  }
  return run.problem === null || next === null ? run.problem : { ...run.problem, next };
}

export interface StoredStep {
  readonly fingerprints: readonly string[];
  readonly result: Stepped;
}

export async function persistStep(deps: ActivityDeps, tx: Tx, step: Step): Promise<Stepped> {
  const { row, after, before } = step;
  const kept = step.plan === null ? after : prune(step.plan, after);
  await giveWayBefore(row.doc?.length ?? 0);
  const { text, digest, holdings } = await storeDocument(
    deps,
    tx,
    kept,
    before?.holdings ?? { input: null, actions: new Map() },
    step.arrived,
  );
  const [previews] = await together([
    storePreviews(deps, tx, step),
    updateRun(tx, row.id, {
      state: after.state,
      status: after.status,
      version: after.version,
      rev: step.rev,
      updatedAt: step.time,
      problem: addWayOn(after, step.plan),
      executing: after.executing?.action.id ?? null,
      doc: text,
      docDigest: digest,
      openApprovals: kept.approvals.length,
      openBytes: openBytesOf(kept, holdings),
      checkAt: checkTimeOf(after, step.time),
    }),
  ]);
  await projectActions(tx, step);
  await projectApprovals(tx, step, holdings, previews);
  await projectEvidence(tx, step);
  await projectNotifications(tx, step);
  const [, head] = await together([projectMessages(tx, step), recordFacts(deps, tx, step)]);
  const result: Stepped = {
    status: 'stepped',
    rev: step.rev,
    digest,
    head,
    state: after.state,
    runStatus: after.status,
    version: after.version,
    wakeAt: wakeTime(after),
    execution: executionOf(after),
    cancelling: after.cancelRequested !== null,
    given: step.fingerprints.length,
    left: [],
    isForked: step.isForked,
  };
  const stored: StoredStep = { fingerprints: step.fingerprints, result };
  await putStep(tx, {
    run: row.id,
    rev: step.rev,
    eventKey: step.eventKey,
    builtOn: row.docDigest,
    head,
    result: JSON.stringify(stored),
  });
  return result;
}

function executionOf({ executing }: RunState): Stepped['execution'] {
  return executing === null
    ? null
    : { action: executing.action.id, timeoutMs: executing.reliability.timeoutMs };
}

/** When a run that has a workflow must have moved by itself, as epoch milliseconds: at its next deadline, or at the end of its attempt; null: never. */
function checkTimeOf(run: RunState, time: string): number | null {
  const wakeAt = wakeTime(run);
  const moments = [
    ...(wakeAt === null ? [] : [wakeAt]),
    ...(run.executing === null ? [] : [Date.parse(time) + leaseMs(run.executing)]),
  ].filter(Number.isFinite);
  return moments.length === 0 ? null : Math.min(...moments);
}

/** Bytes that open approvals take of the run's room: arguments, previews, and what else the document has of them. */
function openBytesOf({ approvals }: RunState, { actions }: Holdings): number {
  return approvals.reduce(
    (sum, { action, previewBytes = 0, documentBytes = 0 }) =>
      sum + (actions.get(action.id)?.payload.bytes ?? 0) + previewBytes + documentBytes,
    0,
  );
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

/** By the ids of the approvals that open in this step: the payloads of their previews, which show the values of the calls. */
async function storePreviews(
  { payloads }: ActivityDeps,
  tx: Tx,
  { row, actions }: Step,
): Promise<ReadonlyMap<string | null, PayloadRef | undefined>> {
  const opening = actions.flatMap(({ action: { approval }, shown }) =>
    shown === undefined ? [] : [{ approval, bytes: JSON.stringify(shown.preview) }],
  );
  const refs = await payloads.putAll(
    tx,
    row.id,
    opening.map(({ bytes }) => ({ role: 'preview', media: 'application/json', bytes })),
  );
  return new Map(opening.map(({ approval }, index) => [approval, refs[index]]));
}

async function projectApprovals(
  tx: Tx,
  step: Step,
  holdings: Holdings,
  previews: ReadonlyMap<string | null, PayloadRef | undefined>,
): Promise<void> {
  const kit = queuesIn(step.policySet);
  const known = new Map((step.before?.state.approvals ?? []).map((approval) => [approval.id, approval]));
  for (const approval of step.after.approvals) {
    const old = known.get(approval.id);
    if (old !== undefined && sameJson(old, approval)) continue;
    const argumentsRef = holdings.actions.get(approval.action.id)?.payload ?? null;
    const shown = step.actions.find(({ action }) => action.approval === approval.id)?.shown ?? shownBefore;
    await upsertApproval(
      tx,
      makeApprovalRow(step.row, approval, shown, {
        time: step.time,
        kit,
        argumentsRef,
        previewRef: previews.get(approval.id),
      }),
    );
  }
}

async function projectEvidence(tx: Tx, { row, before, after }: Step): Promise<void> {
  const known = new Set((before?.state.evidence ?? []).map(({ id }) => id));
  const fresh = after.evidence.filter(({ id }) => !known.has(id));
  if (fresh.length > 0) await putEvidence(tx, row.id, fresh);
}

/** Writes the answers to messages together with what the messages did. */
async function projectMessages(tx: Tx, { taken, effects, rev }: Step): Promise<void> {
  const answers = new Map<string, Answer>(
    effects.flatMap((effect) =>
      effect.kind === 'answer' ? [[effect.messageId, effect.answer] as const] : [],
    ),
  );
  await together([
    ...taken.map(({ id, bells }) => markTaken(tx, id, rev, bells)),
    ...[...answers].map(([id, answer]) => answerMessage(tx, id, answer)),
    ...taken.map(({ id, kind }) => {
      const answer = kind === 'decide' ? answers.get(id) : undefined;
      if (answer === undefined) return null;
      const { status } = answer;
      return settleDecision(
        tx,
        id,
        status === 'refused' ? { status, code: answer.code } : { status: 'applied', code: null },
      );
    }),
  ]);
}

/** Writes the records; gives the head of the run's chain. That chain ends with the record that closes the run: later records go to the service's chain. */
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
  const wasClosed = step.before !== null && closedStatuses.includes(step.before.state.status);
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

function closingIndex(facts: readonly Fact[]): number {
  const at = facts.findIndex(({ type }) => closesRun(type));
  return at === -1 ? facts.length - 1 : at;
}
