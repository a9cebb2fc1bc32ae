import { giveUp } from '../engine/index.js';
import type { GivingUp } from '../engine/give-up.js';
import type { Plan } from '../engine/plan.js';
import { closedStatuses, type Answer, type Problem, type RunState } from '../engine/state.js';
import { isUnavailable, withTransaction, type Tx } from '../db/index.js';
import { documentOf } from '../store/document.js';
import { answerMessage, lockUntaken } from '../store/messages.js';
import { closeUnstarted, findStep, lockRun, type RunRow } from '../store/runs.js';
import { giveUpAttempt } from './abandoned.js';
import { takeUnread } from './arrivals.js';
import type { Course } from './course.js';
import type { ActivityDeps } from './deps.js';
import { bareRun, isAsWritten, type LoadedRun } from './document.js';
import { sha256 } from './kit.js';
import { persist, type StoredStep } from './persist.js';
import { fingerprintOf, unchanged } from './stored-step.js';
import type { StepInput, StepResult, Stepped } from './types.js';

// What becomes of a run that our own code cannot take a step of, or whose store and history tell of two pasts.

type Policies = Awaited<ReturnType<ActivityDeps['policySet']>>;

/** A run as a step finds it, or as its first step makes it. */
export interface Beginning {
  readonly state: RunState;
  /** Absent: it has begun. */
  readonly start?: GivingUp['start'];
}

const mostAsked = 100;

/** A run whose first step can neither be taken nor given up has failed, and whoever asked it anything is told so. */
export async function neverBegin(deps: ActivityDeps, input: StepInput, why: string): Promise<StepResult> {
  const message = `the run's first step failed three times in our own code: ${why}`;
  const problem: Problem = { code: 'STEP_FAILED', message };
  const answer: Answer = { status: 'refused', code: 'RUN_CLOSED', message };
  await withTransaction(deps.pool, async (tx) => {
    await lockRun(tx, input.run);
    const asked = await lockUntaken(tx, input.run, { kind: null, except: [], limit: mostAsked });
    if (!(await closeUnstarted(tx, input.run, problem)))
      throw new Error(`run \`${input.run}\` has taken its first step`);
    for (const { id } of asked) await answerMessage(tx, id, answer);
  });
  await refuseStart(deps, input, 'step_failed');
  return { status: 'refused', reason: message };
}

/** A workflow of our type that may not exist ends with this answer, which is recorded. */
export async function refuseStart(
  deps: Pick<ActivityDeps, 'serviceChain'>,
  { run, arrivals }: StepInput,
  reason: string,
): Promise<Extract<StepResult, { status: 'refused' }>> {
  await deps.serviceChain.append([
    {
      key: `${run}:start.refused:${sha256(JSON.stringify(arrivals)).slice(7, 39)}`,
      type: 'message.refused',
      time: new Date().toISOString(),
      actor: { kind: 'anonymous', id: 'unknown' },
      data: { reason, name: 'start' },
      about: run,
    },
  ]);
  return { status: 'refused', reason };
}

/**
 * The run is stuck over what it could not take, and whoever asked is told so. None of the code that failed runs again:
 * no message is opened, no value read, and a plan that is gone is done without.
 */
export async function giveUpOn(
  deps: ActivityDeps,
  tx: Tx,
  at: { readonly row: RunRow; readonly policySet: Policies; readonly before: LoadedRun },
  input: StepInput,
  why: string,
): Promise<Stepped> {
  const taken = await takeUnread(tx, input.run, input.arrivals);
  const plan = await planIfAny(deps, tx, at.row);
  const time = new Date().toISOString();
  const lost = await giveUpAttempt(tx, at.before.state, 'its run was given up', time);
  const course = giveUpWith(at.before, { taken, arrived: [] }, input, why);
  return persist(deps, tx, {
    ...{ ...at, plan, ...course, facts: [...lost, ...course.facts], time },
    rev: at.row.rev + 1,
    eventKey: 'step',
    fingerprints: input.arrivals.map(fingerprintOf),
    isForked: false,
  });
}

async function planIfAny(deps: ActivityDeps, tx: Tx, { planHash }: RunRow): Promise<Plan | null> {
  try {
    return await deps.plan(tx, planHash);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return null;
  }
}

/** Its first step keeps the values of its start: a retry begins it with them. */
export function giveUpWith(
  { state, start = null }: Beginning,
  { taken, arrived }: Pick<Course, 'taken' | 'arrived'>,
  { rev }: StepInput,
  why: string,
): Course {
  const decision = giveUp(state, {
    ...{ code: 'STEP_FAILED', key: `s${rev}.failed`, time: new Date().toISOString(), why, start },
    messages: taken.map(({ id }) => id),
  });
  const { state: after, effects, trace: facts, actions } = decision;
  return { after, effects, facts, actions, taken, arrived };
}

/**
 * The store and Temporal's history are two memories of one run. Where they tell of different pasts nothing goes on: the
 * run is stuck, which is recorded and shown, and the kernel goes on from the store's past. Its arrivals come again.
 */
export async function fork(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: Policies,
  input: StepInput,
): Promise<StepResult> {
  const left = input.arrivals.map((_, index) => index);
  if (closedStatuses.includes(row.status)) return { ...(await unchanged(tx, row)), left, isForked: true };
  const eventKey = `forked:${input.rev}:${input.builtOn ?? ''}`;
  const known = await findStep(tx, row.id, eventKey);
  if (known !== null && known.rev === row.rev)
    return { ...(JSON.parse(known.result) as StoredStep).result, left };
  const document = documentOf(row);
  if (document === null) throw new Error(`run ${row.id} has steps and no document`);
  const before = bareRun(document);
  const why = isAsWritten(row)
    ? `the store has taken ${row.rev} steps of this run, and the workflow goes on from ${input.rev - 1} of another past: was one of them restored or reset?`
    : `the run's document in the store is not the one that its step ${row.rev} wrote: who has changed it?`;
  const time = new Date().toISOString();
  const lost = await giveUpAttempt(tx, before.state, 'its run was given up', time);
  const decision = giveUp(before.state, {
    ...{ code: 'HISTORY_FORKED', key: `s${row.rev + 1}.forked`, time, why, start: null },
    messages: [],
  });
  const forked = await persist(deps, tx, {
    ...{
      row,
      plan: await planIfAny(deps, tx, row),
      policySet,
      before,
      eventKey,
      fingerprints: [],
      isForked: true,
    },
    ...{ after: decision.state, effects: decision.effects, actions: decision.actions },
    ...{ facts: [...lost, ...decision.trace], taken: [], arrived: [], rev: row.rev + 1, time },
  });
  return { ...forked, left };
}
