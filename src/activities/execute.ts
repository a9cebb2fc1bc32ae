import { ApplicationFailure } from '@temporalio/activity';
import { bindingDigest, decide } from '../engine/index.js';
import type { Executing, Outcome, RunState } from '../engine/state.js';
import type { JsonObject } from '../model/json.js';
import type { Fact, PayloadRef } from '../model/records.js';
import { buildCall, resolveConnection, runCall } from '../executors/index.js';
import type { ExecutorResult, RunContext } from '../executors/types.js';
import { appendRun } from '../audit/index.js';
import { isUnavailable, withTransaction, type Tx } from '../db/index.js';
import { consumeGrant, finishAttempt, listAttempts, startAttempt } from '../store/actions.js';
import { findStep, lockRun, type RunRow } from '../store/runs.js';
import { afterFailure, hasEffect, nextAttempt, type AfterFailure, type NextAttempt } from './attempts.js';
import type { ActivityDeps } from './deps.js';
import { makeKit } from './kit.js';
import { persist, type StoredStep } from './persist.js';
import type { ExecuteInput, Stepped } from './types.js';

/** What the activity's surroundings give: signs of life, and the end of this worker. */
export interface Surroundings {
  /** Aborts when the worker shuts down; never because the run was cancelled: an outcome comes first. */
  readonly shutdown: AbortSignal;
}

interface Begun {
  readonly kind: 'begun';
  readonly row: RunRow;
  readonly run: RunState;
  readonly executing: Executing;
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly startedAt: string;
}

/**
 * One intended effect, until its outcome is recorded: intent and single-use grant first, then the
 * effect, then outcome and the run's next state in one transaction. When only that last write fails,
 * the write is tried again, not the effect.
 */
export async function execute(
  deps: ActivityDeps,
  input: ExecuteInput,
  around: Surroundings,
): Promise<Stepped> {
  for (;;) {
    const begun = await withTransaction(deps.pool, (tx) => begin(deps, tx, input));
    if (begun.kind === 'settled') return begun.result;
    const result = await perform(deps, begun, around);
    const ended: Ended = await persistently(around, () =>
      withTransaction(deps.pool, (tx) => end(deps, tx, begun, result)),
    );
    if (ended.kind === 'settled') return ended.result;
    if (ended.delayMs > 0) throw retryLater(begun, ended.delayMs);
  }
}

type Settled = { readonly kind: 'settled'; readonly result: Stepped };

/** Temporal's own retry carries the wait between attempts. */
function retryLater(begun: Begun, delayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: `attempt ${begun.next.attempt} of \`${begun.executing.action.transition}\` failed; the next one follows`,
    type: 'ATTEMPT_FAILED',
    nonRetryable: false,
    nextRetryDelay: delayMs,
  });
}

async function begin(deps: ActivityDeps, tx: Tx, input: ExecuteInput): Promise<Begun | Settled> {
  const row = await lockRun(tx, input.run);
  if (row === null || row.doc === null)
    throw ApplicationFailure.nonRetryable(`no run \`${input.run}\` in the store`, 'UNKNOWN_RUN');
  const run = JSON.parse(row.doc) as RunState;
  const executing = run.executing;
  if (executing === null || executing.action.id !== input.action) {
    const stored = await findStep(tx, input.run, `outcome:${input.action}`);
    if (stored === null)
      throw ApplicationFailure.nonRetryable(
        `run \`${input.run}\` does not execute \`${input.action}\``,
        'NOT_EXECUTING',
      );
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const attempts = await listAttempts(tx, input.action);
  const next = nextAttempt(executing, attempts);
  const startedAt = new Date().toISOString();
  const refused =
    next.kind === 'attempt' ? await grantProblem(deps, tx, row, run, executing, attempts.length) : null;
  if (next.kind === 'unknown' || refused !== null) {
    const lost = {
      status: 'unknown',
      message: 'the worker was lost during the call, and repeating it might do it twice',
      attempt: next.attempt,
    } as const;
    const outcome: Outcome =
      refused === null
        ? lost
        : { status: 'failed', errorClass: 'permanent', message: refused, attempt: next.attempt };
    if (refused === null)
      await finishAttempt(tx, {
        action: input.action,
        attempt: next.attempt,
        finishedAt: startedAt,
        outcome: 'unknown',
        errorClass: 'unknown_outcome',
      });
    const fact = attemptFact(
      executing,
      next.attempt,
      refused === null ? 'executor.unknown' : 'executor.failed',
      startedAt,
      { message: outcome.message },
    );
    return { kind: 'settled', result: await settle(deps, tx, row, run, executing, outcome, [fact]) };
  }
  if (next.kind !== 'attempt') throw new Error('unreachable');
  if (!next.resumed) {
    await startAttempt(tx, { action: input.action, attempt: next.attempt, startedAt });
    const fact = attemptFact(
      executing,
      next.attempt,
      'executor.started',
      startedAt,
      startData(executing, next),
    );
    await appendRun(tx, scopeOf(row), [{ ...fact, refs: executing.action.refs }]);
  }
  return { kind: 'begun', row, run, executing, next, startedAt };
}

/** The digest is computed again from what would run now, and its grant is used up by the first attempt. */
async function grantProblem(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  run: RunState,
  executing: Executing,
  attempts: number,
): Promise<string | null> {
  const kit = makeKit(await deps.policySet(tx), row.environment);
  const { action } = executing;
  const gate =
    action.approval === null ? null : (run.approvals.find((one) => one.id === action.approval)?.gate ?? null);
  if (action.approval !== null && gate === null) return 'the approval that this action names does not exist';
  const digest = bindingDigest(kit, run, action, gate as unknown as JsonObject | null);
  if (digest !== action.digest) return 'what would run is not what was checked and approved';
  if (attempts > 0) return null;
  const grant = await consumeGrant(tx, action.id, digest);
  return grant === 'consumed' ? null : `this action has no unused grant for its digest (${grant})`;
}

function startData(executing: Executing, next: Extract<NextAttempt, { kind: 'attempt' }>): Fact['data'] {
  const { executor } = next;
  return {
    executor: executor.kind,
    ...('connection' in executor ? { connection: executor.connection } : {}),
    ...('idempotencyKey' in executor && executor.idempotencyKey
      ? { idempotencyKey: executing.action.idempotencyKey }
      : {}),
    ...(executing.action.requester === null ? {} : { requestedBy: executing.action.requester.id }),
  };
}

function attemptFact(
  executing: Executing,
  attempt: number,
  type: Fact['type'],
  time: string,
  data: Fact['data'],
): Fact {
  const { action } = executing;
  return {
    key: `x:${action.id}:${attempt}:${type}`,
    type,
    time,
    actor: { kind: 'runtime', id: 'countersign' },
    action: {
      id: action.id,
      transition: action.transition,
      digest: action.digest,
      ...(action.tool === null ? {} : { tool: action.tool }),
      ...(action.tier === null ? {} : { tier: action.tier }),
    },
    ...(action.approval === null ? {} : { approval: action.approval }),
    attempt,
    data,
  };
}

function scopeOf(row: RunRow): Parameters<typeof appendRun>[1] {
  return {
    run: row.id,
    environment: row.environment,
    flow: row.flow,
    planHash: row.planHash,
    traceId: row.traceId,
    workflowId: row.id,
    firstRunId: '',
  };
}

async function perform(deps: ActivityDeps, begun: Begun, around: Surroundings): Promise<ExecutorResult> {
  const { executing, next, run } = begun;
  const { action } = executing;
  const built = buildCall(
    next.executor,
    { arguments: action.arguments, context: run.context, input: run.input },
    executing.at,
  );
  if (built.status === 'unresolved')
    return { status: 'failed', errorClass: 'permanent', message: built.message };
  const effect = hasEffect(executing, next.executor);
  if (run.mode === 'shadow' && effect)
    return { status: 'succeeded', output: null, response: null, evidence: [] };
  const policySet = await deps.policySet(deps.pool);
  const connection =
    'connection' in next.executor
      ? resolveConnection(policySet, next.executor.connection, begun.row.environment)
      : null;
  if ('connection' in next.executor && connection === null) {
    return {
      status: 'failed',
      errorClass: 'permanent',
      message: `environment \`${begun.row.environment}\` has no connection \`${next.executor.connection}\``,
    };
  }
  const context: RunContext = {
    idempotencyKey:
      'idempotencyKey' in next.executor && next.executor.idempotencyKey ? action.idempotencyKey : null,
    timeoutMs: executing.reliability.timeoutMs,
    signal: around.shutdown,
    hasEffect: effect,
    connection,
    baseDirectory: policySet.baseDirectory,
  };
  return runCall(built.call, context);
}

type Ended = Settled | { readonly kind: 'again'; readonly delayMs: number };

async function end(deps: ActivityDeps, tx: Tx, begun: Begun, result: ExecutorResult): Promise<Ended> {
  const { executing, next } = begun;
  const row = await lockRun(tx, begun.row.id);
  if (row === null || row.doc === null) throw new Error(`run ${begun.row.id} is gone from the store`);
  const run = JSON.parse(row.doc) as RunState;
  const before = await alreadyEnded(tx, run, begun);
  if (before !== null) return before;
  const finishedAt = new Date().toISOString();
  const timing = {
    startedAt: begun.startedAt,
    durationMs: Date.parse(finishedAt) - Date.parse(begun.startedAt),
  };
  if (result.status === 'succeeded') {
    const outputRef = await putOutput(deps, tx, row.id, result.output);
    await finishAttempt(tx, {
      action: executing.action.id,
      attempt: next.attempt,
      finishedAt,
      outcome: 'succeeded',
      errorClass: null,
    });
    const fact = attemptFact(executing, next.attempt, 'executor.succeeded', finishedAt, {
      ...timing,
      ...(run.mode === 'shadow' ? { mode: 'shadow' } : {}),
    });
    const outcome: Outcome = {
      status: 'succeeded',
      output: result.output,
      response: result.response,
      evidence: result.evidence,
      attempt: next.attempt,
      outputRef,
    };
    return {
      kind: 'settled',
      result: await settle(deps, tx, row, run, executing, outcome, [{ ...fact, refs: [outputRef] }]),
    };
  }
  const unknown = result.errorClass === 'unknown_outcome';
  await finishAttempt(tx, {
    action: executing.action.id,
    attempt: next.attempt,
    finishedAt,
    outcome: unknown ? 'unknown' : 'failed',
    errorClass: result.errorClass,
  });
  const then =
    run.cancelRequested === null
      ? afterFailure(executing, next.attempt, result.errorClass, result.retryAfterMs)
      : ({ kind: 'final' } as const);
  const data = { ...timing, errorClass: result.errorClass, message: result.message };
  const facts = [
    attemptFact(executing, next.attempt, unknown ? 'executor.unknown' : 'executor.failed', finishedAt, data),
    ...retryFact(executing, next.attempt, finishedAt, then),
  ];
  if (then.kind !== 'final') {
    await appendRun(tx, scopeOf(row), facts);
    return { kind: 'again', delayMs: then.kind === 'retry' ? then.delayMs : 0 };
  }
  const outcome: Outcome = unknown
    ? { status: 'unknown', message: result.message, attempt: next.attempt }
    : { status: 'failed', errorClass: result.errorClass, message: result.message, attempt: next.attempt };
  return { kind: 'settled', result: await settle(deps, tx, row, run, executing, outcome, facts) };
}

/** The write is repeated when its acknowledgement was lost: what it had committed is its answer. */
async function alreadyEnded(tx: Tx, run: RunState, begun: Begun): Promise<Ended | null> {
  const action = begun.executing.action.id;
  if (run.executing?.action.id !== action) {
    const stored = await findStep(tx, run.run, `outcome:${action}`);
    if (stored === null) throw new Error(`run ${run.run} has moved on without the outcome of ${action}`);
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const attempts = await listAttempts(tx, action);
  const ended = attempts.find((one) => one.attempt === begun.next.attempt)?.outcome ?? null;
  return ended === null ? null : { kind: 'again', delayMs: 0 };
}

function retryFact(executing: Executing, attempt: number, time: string, then: AfterFailure): Fact[] {
  if (then.kind === 'final') return [];
  const data =
    then.kind === 'retry' ? { delayMs: then.delayMs, next: 'retry' } : { delayMs: 0, next: 'fallback' };
  return [attemptFact(executing, attempt, 'executor.retrying', time, data)];
}

async function putOutput(deps: ActivityDeps, tx: Tx, run: string, output: unknown): Promise<PayloadRef> {
  return deps.payloads.put(tx, run, 'output', 'application/json', JSON.stringify(output ?? null));
}

/** The outcome's own step: the engine says what it means, and one transaction makes all of it durable. */
async function settle(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  run: RunState,
  executing: Executing,
  outcome: Outcome,
  facts: readonly Fact[],
): Promise<Stepped> {
  const plan = await deps.plan(tx, row.planHash);
  if (plan === null) throw new Error(`plan ${row.planHash} of run ${row.id} is not in the store`);
  const time = new Date().toISOString();
  const kit = makeKit(await deps.policySet(tx), row.environment);
  const rev = row.rev + 1;
  const decision = decide(
    plan,
    run,
    { kind: 'outcome', time, action: executing.action.id, result: outcome },
    kit,
    `s${rev}.o`,
  );
  return persist(deps, tx, {
    row,
    plan,
    before: run,
    after: decision.state,
    effects: decision.effects,
    actions: decision.actions,
    facts: [...facts, ...decision.trace],
    rev,
    eventKey: `outcome:${executing.action.id}`,
    fingerprints: [],
    taken: [],
    decided: [],
    time,
  });
}

/** Only the store's absence is waited out; anything else is a bug and ends the attempt. */
async function persistently<T>(around: Surroundings, write: () => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await write();
    } catch (error) {
      if (!isUnavailable(error) || around.shutdown.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}
