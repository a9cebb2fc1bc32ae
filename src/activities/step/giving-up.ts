import { giveUp } from '../../engine/index.js';
import type { GivingUp } from '../../engine/run/stuck/give-up.js';
import type { Plan } from '../../engine/plan.js';
import { closedStatuses, type Answer, type Problem, type RunState } from '../../engine/state.js';
import { fingerprintOf } from '../../auth/index.js';
import { namesSender, type ServiceFact } from '../../audit/index.js';
import { isUnavailable, storeTime, withTransaction, type Tx } from '../../db/index.js';
import { mostWaiting } from '../../model/limits.js';
import { principalActor, type RecordActor } from '../../model/records.js';
import { documentOf } from '../../store/runs/document.js';
import { settleDecision } from '../../store/approvals/decisions.js';
import { answerMessage, lockUntaken, markTaken } from '../../store/runs/messages.js';
import {
  closeUnstarted,
  findStep,
  getListedRun,
  getStep,
  lockRun,
  type RunRow,
} from '../../store/runs/runs.js';
import { giveUpAttempt } from '../execute/abandoned.js';
import { findStarter, takeUnread } from './arrivals.js';
import type { Course } from './course.js';
import type { ActivityDeps } from '../deps.js';
import { runWithoutValues, isAsWritten, type LoadedRun } from './document.js';
import { sha256 } from './kit.js';
import { persistStep, type StoredStep } from './persist.js';
import { repeatLastStep } from './stored-step.js';
import type { StepInput, StepResult, Stepped } from '../types.js';

// What happens to a run whose step fails in our own code, or whose store and history disagree.

type Policies = Awaited<ReturnType<ActivityDeps['policySet']>>;

/** A run as a step finds it, or as its first step makes it. */
export interface Beginning {
  readonly state: RunState;
  /** Absent: the run has begun. */
  readonly start?: GivingUp['start'];
}

/** Fails a run whose first step can neither be taken nor given up, and tells everybody who has asked it for something. */
export async function closeWithoutFirstStep(
  deps: ActivityDeps,
  input: StepInput,
  why: string,
): Promise<StepResult> {
  const message = `the run's first step failed three times in our own code: ${why}`;
  await withTransaction(deps.pool, (tx) => closeUnbegun(tx, input.run, { code: 'STEP_FAILED', message }));
  await refuseStart(deps, input, 'step_failed');
  return { status: 'refused', reason: message };
}

/**
 * Fails a run that has taken no step, and answers the messages that were sent to it: `done` as what has been done. Whoever repeats one
 * is answered the same. What the run was closed over before stays.
 */
export async function closeUnbegun(
  tx: Tx,
  run: string,
  problem: Problem,
  done: string | null = null,
): Promise<void> {
  const row = await lockRun(tx, run);
  if (row?.rev === 0 && row.status === 'failed') return;
  const asked = await lockUntaken(tx, run, { kind: null, except: [], limit: mostWaiting });
  const answer: Answer = { status: 'refused', code: 'RUN_CLOSED', message: problem.message };
  // Before the run is closed, which withdraws what has no answer.
  for (const { id } of asked) await answerMessage(tx, id, id === done ? { status: 'accepted' } : answer);
  if (!(await closeUnstarted(tx, run, problem))) throw new Error(`run \`${run}\` has taken its first step`);
}

/** The answer, also recorded, by which a workflow of our type ends that may not exist. */
export async function refuseStart(
  deps: Pick<ActivityDeps, 'serviceChain' | 'pool' | 'publicKey'>,
  input: StepInput,
  reason: string,
): Promise<Extract<StepResult, { status: 'refused' }>> {
  await deps.serviceChain.append([
    await withTransaction(deps.pool, (tx) => describeRefused(deps, tx, input, reason)),
  ]);
  return { status: 'refused', reason };
}

const nobody: RecordActor = { kind: 'anonymous', id: 'unknown' };

/**
 * What is known of a workflow whose start is refused. Only of a run that was closed before it began it says over what, and by whom it was
 * started; and that only where the start that the run's own message names has arrived, and once: of a stranger's workflow nobody else is
 * the actor, and its bell, which says who started the run, can be copied out of Temporal.
 */
async function describeRefused(
  deps: Pick<ActivityDeps, 'publicKey'>,
  tx: Tx,
  { run, arrivals }: StepInput,
  reason: string,
): Promise<ServiceFact> {
  const row = await getListedRun(tx, run);
  const isClosed = row?.rev === 0 && row.status === 'failed';
  const by = isClosed ? await findStarter(deps, tx, row, arrivals) : null;
  const { code, message } = (isClosed ? row.problem : null) ?? {};
  const closedOver = code === undefined || message === undefined ? {} : { code, message };
  const data = { reason, name: 'start', ...closedOver };
  // The same step, taken again, may be refused for another reason, since the first has closed the run: that is another record.
  const keyOf = (actor: RecordActor): string =>
    `${run}:start.refused:${sha256(JSON.stringify([arrivals, actor, data])).slice(7, 39)}`;
  const starter = by === null ? nobody : principalActor(by);
  const actor = by !== null && (await namesSender(tx, run, keyOf(starter))) ? nobody : starter;
  return {
    key: keyOf(actor),
    type: 'message.refused',
    time: await storeTime(tx),
    actor,
    data,
    about: run,
    ...(row === null ? {} : { flow: row.flow, environment: row.environment, traceId: row.traceId }),
  };
}

/**
 * Makes the run stuck over arrivals that it could not take, and tells their senders. None of the code that failed runs again:
 * no message is opened, no value is read, and a plan that cannot be loaded is not needed.
 */
export async function giveUpOn(
  deps: ActivityDeps,
  tx: Tx,
  at: { readonly row: RunRow; readonly policySet: Policies; readonly before: LoadedRun },
  input: StepInput,
  why: string,
): Promise<Stepped> {
  const taken = await takeUnread(tx, input.run, input.arrivals);
  const plan = await loadPlanIfAny(deps, tx, at.row);
  const time = await storeTime(tx);
  const lost = await giveUpAttempt(tx, at.before.state, 'its run was given up', time);
  const course = giveUpWith(at.before, { taken, arrived: [] }, input, { why, time });
  return persistStep(deps, tx, {
    ...at,
    plan,
    ...course,
    facts: [...lost, ...course.facts],
    time,
    rev: at.row.rev + 1,
    eventKey: 'step',
    fingerprints: input.arrivals.map(fingerprintOf),
    isForked: false,
  });
}

async function loadPlanIfAny(deps: ActivityDeps, tx: Tx, { id, planHash }: RunRow): Promise<Plan | null> {
  try {
    return await deps.plan(tx, planHash);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    deps.onInternalError(`the plan of run \`${id}\`, which is given up without it`, error);
    return null;
  }
}

/** Gives a run up. Where it was its first step, the values of its start are kept: a retry begins the run with them. */
export function giveUpWith(
  { state, start = null }: Beginning,
  { taken, arrived }: Pick<Course, 'taken' | 'arrived'>,
  { rev }: StepInput,
  { why, time }: { readonly why: string; readonly time: string },
): Course {
  const decision = giveUp(state, {
    code: 'STEP_FAILED',
    key: `s${rev}.failed`,
    time,
    why,
    start,
    messages: taken.map(({ id }) => id),
  });
  const { state: after, effects, trace: facts, actions } = decision;
  return { after, effects, facts, actions, taken, arrived };
}

/**
 * The store and Temporal's history both remember a run. Where they disagree, the run is stuck, which is recorded and shown, and the
 * kernel goes on from the store's state. The arrivals of this step come again with the next.
 */
export async function fork(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: Policies,
  input: StepInput,
): Promise<StepResult> {
  const left = input.arrivals.map((_, index) => index);
  if (closedStatuses.includes(row.status))
    return isAsWritten(row)
      ? { ...(await repeatLastStep(tx, row)), left, isForked: true }
      : refuseAll(tx, row, input);
  const known = await findStep(tx, row.id, eventKeyOf(input));
  if (known !== null && known.rev === row.rev)
    return { ...(JSON.parse(known.result) as StoredStep).result, left };
  const document = documentOf(row);
  if (document === null) throw new Error(`run ${row.id} has steps and no document`);
  const before = runWithoutValues(document);
  const why = !isAsWritten(row)
    ? `the run's document in the store is not the one that its step ${row.rev} wrote: who has changed it?`
    : input.builtOn === null
      ? describeLostWorkflow(row)
      : `the store has taken ${row.rev} steps of this run, and the workflow goes on from ${input.rev - 1} of another past: was one of them restored or reset?`;
  const at = { row, policySet, before, first: before, taken: [], arrived: [] };
  return { ...(await forkFrom(deps, tx, at, input, why)), left };
}

/** For a workflow that builds on nothing, though the run has taken steps: the outbox has started it for a run that had lost its own. */
function describeLostWorkflow({ rev }: RunRow): string {
  return `Temporal had no open workflow of this run, which has taken ${rev} steps: it was terminated or deleted there, or ended because it was paused, pinned to other workers, on another task queue than this deployment's (was COUNTERSIGN_TASK_QUEUE changed?) or not ours, or failed (its history was full, or a worker of another build went on with it: Temporal says why), or Temporal was restored. Look what it was about to do, then retry the run, which goes on from what the store has, or cancel it`;
}

const eventKeyOf = ({ rev, builtOn }: StepInput): string => `forked:${rev}:${builtOn ?? ''}`;

/** Makes the run stuck in the store's state. Takes its start as well, where the store has forgotten that the run has begun. */
export async function forkFrom(
  deps: ActivityDeps,
  tx: Tx,
  {
    first,
    taken,
    arrived,
    ...at
  }: {
    readonly row: RunRow;
    readonly policySet: Policies;
    /** Null: it has taken no step. */
    readonly before: LoadedRun | null;
    readonly first: Beginning;
  } & Pick<Course, 'taken' | 'arrived'>,
  input: StepInput,
  why: string,
): Promise<Stepped> {
  const rev = at.row.rev + 1;
  const time = await storeTime(tx);
  const lost = await giveUpAttempt(tx, first.state, 'its run was given up', time);
  const decision = giveUp(first.state, {
    code: 'HISTORY_FORKED',
    key: `s${rev}.forked`,
    time,
    why,
    start: first.start ?? null,
    messages: taken.map(({ id }) => id),
  });
  const { state: after, effects, actions, trace } = decision;
  return persistStep(deps, tx, {
    ...at,
    plan: await loadPlanIfAny(deps, tx, at.row),
    after,
    effects,
    actions,
    taken,
    arrived,
    facts: [...lost, ...trace],
    eventKey: eventKeyOf(input),
    fingerprints: [],
    isForked: true,
    rev,
    time,
  });
}

/**
 * For a closed run whose document somebody has changed. It cannot be made stuck or go on, so every message is refused by what the
 * run's row says, and its workflow ends.
 */
async function refuseAll(tx: Tx, row: RunRow, { arrivals }: StepInput): Promise<Stepped> {
  const code = 'RUN_CLOSED';
  const message = `the run is ${row.status}`;
  for (const { id, kind, bells } of await takeUnread(tx, row.id, arrivals)) {
    await markTaken(tx, id, row.rev, bells);
    await answerMessage(tx, id, { status: 'refused', code, message });
    if (kind === 'decide') await settleDecision(tx, id, { status: 'refused', code });
  }
  const last = await getStep(tx, row.id, row.rev);
  return {
    status: 'stepped',
    rev: row.rev,
    digest: row.docDigest ?? '',
    head: last?.head ?? '',
    state: row.state,
    runStatus: row.status,
    version: row.version,
    wakeAt: null,
    execution: null,
    cancelling: false,
    given: arrivals.length,
    left: [],
    isForked: true,
  };
}
