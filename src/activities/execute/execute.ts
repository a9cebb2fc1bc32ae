import { ApplicationFailure } from '@temporalio/activity';
import { hasEffect } from '../../executors/index.js';
import type { Executing, Outcome } from '../../engine/state.js';
import { appendRun } from '../../audit/index.js';
import { settleTogether, valueOf, withTransaction, type Tx } from '../../db/index.js';
import { finishAttempt, type Holder } from '../../store/runs/actions.js';
import { findStep, showUnstepped } from '../../store/runs/runs.js';
import { isCalledOff, judgeDenial, chooseNextAttempt, waitMsOf, type NextAttempt } from './attempts.js';
import { abandon, unknownEnd, keyedEffectOf } from './abandoned.js';
import { makeAttemptFact, makeGuardFact, scopeOf, dataOfStart } from './attempt-facts.js';
import { performCall, targetOf } from './call.js';
import type { ActivityDeps } from '../deps.js';
import { grantProblem, loadGrantFacts, type GrantProblem } from './last-check.js';
import { toStorableResult } from './storable-result.js';
import { runAloneHere, leaseAttempt, leaseMs, marginMs, findOtherUnderWay } from './leases.js';
import { addWayOn, type StoredStep } from '../step/persist.js';
import { retryWhileUnavailable, type Surroundings } from '../retry-while-unavailable.js';
import { settleOutcome } from './settle.js';
import { makeSlotHold, type SlotHold } from './call-slots.js';
import {
  findEffectBefore,
  loadExecutionBasis,
  lockExecution,
  makeNotExecutingFailure,
  outcomeOf,
  type Begun,
  type ExecutionBasis,
  type Settled,
} from './begun.js';
import { endAttempt, type Ended } from './end.js';
import type { ExecuteInput, Stepped } from '../types.js';

/**
 * One attempt of an intended effect: intent and single-use grant first, then the effect, then outcome and the run's
 * next state in one transaction. When only that last write fails, the write is tried again, not the effect. At most one call is
 * made, since the activity's time-out is that of one call: the next attempt is another try of the activity.
 */
export async function execute(
  deps: ActivityDeps,
  input: ExecuteInput,
  around: Surroundings,
): Promise<Stepped> {
  const lost = new Error('its call has taken longer than it may, and its outcome is not waited for');
  const onLost = (): void => deps.onInternalError(`action \`${input.action}\` of run \`${input.run}\``, lost);
  return runAloneHere(input.action, around, onLost, () => executeAlone(deps, input, around));
}

async function executeAlone(deps: ActivityDeps, input: ExecuteInput, around: Surroundings): Promise<Stepped> {
  const slots = makeSlotHold(around);
  try {
    return await executeWithSlots(deps, input, around, slots);
  } finally {
    slots.leave();
  }
}

async function executeWithSlots(
  deps: ActivityDeps,
  input: ExecuteInput,
  around: Surroundings,
  slots: SlotHold,
): Promise<Stepped> {
  const begun = await withTransaction(deps.pool, (tx) => beginAttempt(deps, tx, input, around, slots));
  if (begun.kind === 'settled') return begun.result;
  // The process stood still for so long that the call would outlast its lease.
  if (around.isLate()) throw makeBegunTooLateFailure(begun);
  around.allow(leaseMs(begun.executing));
  const result = toStorableResult(
    await performCall({ ...begun, run: begun.loaded.state }, around.shutdown),
    hasEffect(begun.executing, begun.next.executor),
  );
  const ended: Ended = await retryWhileUnavailable(around, deps.onStoreWait, () =>
    withTransaction(deps.pool, (tx) => endAttempt(deps, tx, begun, result)),
  );
  if (ended.kind === 'settled') return ended.result;
  if (ended.kind === 'late') throw makeNotExecutingFailure(begun.row.id, begun.executing.action.id);
  throw makeRetryFailure(begun.executing, begun.next.attempt, ended.delayMs);
}

/** The type of the failure by which Temporal is told that another attempt follows. */
export const attemptFailed = 'ATTEMPT_FAILED';
/** A failure has to name its delay: without it Temporal would wait as long as after a failure of our own code. */
const soonestMs = 1;

/** The wait between two attempts is the delay of Temporal's retry. */
function makeRetryFailure({ action }: Executing, attempt: number, delayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: `attempt ${attempt} of \`${action.transition}\` failed; the next one follows`,
    type: attemptFailed,
    nonRetryable: false,
    // Not logged: the attempt and why it failed are on record.
    category: 'BENIGN',
    nextRetryDelay: Math.max(delayMs, soonestMs),
  });
}

function makeBegunTooLateFailure({ executing: { action }, next }: Begun): ApplicationFailure {
  const message = `attempt ${next.attempt} of \`${action.transition}\` was not made: the process stood still for too long before it`;
  return ApplicationFailure.create({ message, type: 'BEGUN_TOO_LATE', nonRetryable: false });
}

async function beginAttempt(
  deps: ActivityDeps,
  tx: Tx,
  input: ExecuteInput,
  around: Surroundings,
  slots: SlotHold,
): Promise<Begun | Settled> {
  const { owner, process } = around;
  const holder: Holder = { owner, process };
  const locked = await lockExecution(deps, tx, input);
  const { run, attempts, time: startedAt } = locked;
  if (run === null)
    throw ApplicationFailure.nonRetryable(`no run \`${input.run}\` in the store`, 'UNKNOWN_RUN');
  const { row, loaded } = run;
  const { executing } = loaded.state;
  if (executing === null || executing.action.id !== input.action) {
    const stored = await findStep(tx, input.run, `outcome:${input.action}`);
    if (stored === null) throw makeNotExecutingFailure(input.run, input.action);
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const [other, loading, facts] = await settleTogether([
    findOtherUnderWay(tx, executing, holder),
    loadExecutionBasis(deps, tx, { ...run, executing }, locked),
    loadGrantFacts(deps, tx, { ...run, executing }, attempts),
  ]);
  const underWay = valueOf(other);
  if (underWay !== null) throw underWay;
  const now = Date.parse(startedAt);
  if (isCalledOff(loaded.state, attempts, now)) {
    const { result, fact } = await abandon(tx, keyedEffectOf(executing), attempts, null, startedAt);
    return settleOutcome(deps, tx, valueOf(loading), result, [fact(executing)]);
  }
  const waitMs = waitMsOf(attempts, now);
  if (waitMs > 0) throw makeRetryFailure(executing, attempts.length, waitMs);
  const basis = valueOf(loading);
  const next = chooseNextAttempt(executing, attempts);
  if (next.kind === 'unknown') return settleLost(deps, tx, basis, next);
  slots.take(executing, next.executor, row.environment);
  const refused = await grantProblem(tx, basis, attempts, valueOf(facts));
  if (refused !== null) return settleDenied(deps, tx, basis, next, refused);
  around.allow(marginMs);
  await leaseAttempt(tx, executing, next, holder, startedAt);
  if (!next.resumed) {
    const data = dataOfStart(executing, next);
    const fact = makeAttemptFact(executing, next.attempt, 'executor.started', startedAt, data);
    await appendRun(tx, scopeOf(row), [{ ...fact, refs: executing.action.refs }]);
  }
  // What the run showed while its values did not open is over.
  const { status } = loaded.state;
  if (row.status !== status)
    await showUnstepped(tx, row.id, { status, problem: addWayOn(loaded.state, basis.plan) });
  const target = targetOf(basis.policySet, next.executor, row.environment);
  return { kind: 'begun', ...run, executing, next, target, startedAt, holder };
}

/** Settles an effect as unknown whose worker was lost after the intent, where a repeat might do it twice: a person decides. */
async function settleLost(
  deps: ActivityDeps,
  tx: Tx,
  basis: ExecutionBasis,
  { attempt, message }: Extract<NextAttempt, { kind: 'unknown' }>,
): Promise<Settled> {
  const { executing, time } = basis;
  const end = { ...unknownEnd, action: executing.action.id, attempt, finishedAt: time };
  await finishAttempt(tx, end, null);
  const fact = makeAttemptFact(executing, attempt, 'executor.unknown', time, { message });
  const outcome: Outcome = { status: 'unknown', message, attempt };
  return settleOutcome(deps, tx, basis, outcome, [fact]);
}

async function settleDenied(
  deps: ActivityDeps,
  tx: Tx,
  basis: ExecutionBasis,
  next: Begun['next'],
  { code, message, guard }: GrantProblem,
): Promise<Settled> {
  const { executing, time } = basis;
  const { attempt } = next;
  const before = await findEffectBefore(tx, executing, next);
  const judged = judgeDenial(message, before);
  const end = { ...unknownEnd, action: executing.action.id, attempt, finishedAt: time };
  if (next.resumed) await finishAttempt(tx, end, null);
  const judgedOutcome = outcomeOf(judged, attempt, before);
  const outcome = judgedOutcome.status === 'unknown' ? judgedOutcome : ({ ...judgedOutcome, code } as const);
  const type = outcome.status === 'unknown' ? 'executor.unknown' : 'executor.failed';
  const facts = [
    ...(guard === null ? [] : [makeGuardFact(executing, attempt, time, guard)]),
    makeAttemptFact(executing, attempt, type, time, { code, message: judged.message }),
  ];
  return settleOutcome(deps, tx, basis, outcome, facts);
}
