import type { GivingUp } from '../engine/give-up.js';
import { closedStatuses, type Answer, type Kit, type Problem, type RunState } from '../engine/state.js';
import type { Plan } from '../engine/plan.js';
import { giveUp, initialRun, unstarted } from '../engine/index.js';
import { canonical } from '../model/canonical.js';
import { isUnavailable, withTransaction, type Tx } from '../db/index.js';
import { documentOf } from '../store/document.js';
import { answerMessage, lockUntaken } from '../store/messages.js';
import { closeUnstarted, findStep, getStep, lockRun, type RunRow } from '../store/runs.js';
import { readArrivals, takeUnread, type Incoming } from './arrivals.js';
import { beginCourse, sweep, type Course } from './course.js';
import type { ActivityDeps } from './deps.js';
import { bareRun, isAsWritten, loadRun, type LoadedRun } from './document.js';
import { makeKit, sha256 } from './kit.js';
import { persist, resultOf, type StoredStep, type Taken } from './persist.js';
import type { Arrival, StepInput, StepResult, Stepped } from './types.js';

/** The store's absence is waited out here for so long; then the kernel waits, in its history. */
const patienceMs = 8_000;

/**
 * The run's policy check, a local activity: verify what arrived, decide, record, project and answer, in one
 * transaction. It may run more than once for one step (a worker died before its task was complete), so its stored
 * result is given again: a later engine never changes what was decided.
 */
export async function step(deps: ActivityDeps, input: StepInput): Promise<StepResult> {
  const until = Date.now() + patienceMs;
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    try {
      const result = await withTransaction(deps.pool, (tx) => stepIn(deps, tx, input));
      if (result.status === 'refused') return await refuseStart(deps, input, result.reason);
      return result.status === 'stepped' ? { ...result, given: input.arrivals.length } : result;
    } catch (error) {
      if (!isUnavailable(error)) {
        if (input.gaveUp === null || input.rev > 1) throw error;
        return await neverBegin(deps, input, input.gaveUp);
      }
      if (Date.now() > until) return { status: 'waiting' };
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

const mostAsked = 100;

/** A run whose first step can neither be taken nor given up has failed, and whoever asked it anything is told so. */
async function neverBegin(deps: ActivityDeps, input: StepInput, why: string): Promise<StepResult> {
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

async function stepIn(deps: ActivityDeps, tx: Tx, input: StepInput): Promise<StepResult> {
  // Asked together, and answered in order: what follows the run is read behind the lock on it.
  const [locked, policies] = await Promise.allSettled([lockRun(tx, input.run), deps.policySet(tx)]);
  const row = valueOf(locked);
  if (row === null) return { status: 'refused', reason: 'wrong_run' };
  const stored = row.rev < input.rev ? null : await getStep(tx, input.run, input.rev);
  if (stored !== null && stored.builtOn === input.builtOn)
    return again(stored.eventKey, stored.result, input);
  const isNext = row.rev === input.rev - 1 && row.docDigest === input.builtOn && isAsWritten(row);
  if (isNext || row.rev === 0) return take(deps, tx, row, valueOf(policies), input);
  return fork(deps, tx, row, valueOf(policies), input);
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** This step has run: the same result, for those arrivals that it had; an execution's step has taken none of them. */
function again(eventKey: string, text: string, { arrivals }: StepInput): StepResult {
  const { fingerprints, result } = JSON.parse(text) as StoredStep;
  const taken = eventKey === 'step' ? [...fingerprints] : [];
  const left = arrivals.flatMap((arrival, index) => {
    const at = taken.indexOf(fingerprintOf(arrival));
    if (at === -1) return [index];
    taken.splice(at, 1);
    return [];
  });
  return { ...result, left };
}

const fingerprintOf = (arrival: Arrival): string => sha256(JSON.stringify(arrival));

interface Ground {
  readonly row: RunRow;
  readonly plan: Plan;
  readonly policySet: Awaited<ReturnType<ActivityDeps['policySet']>>;
  readonly kit: Kit;
  readonly loaded: LoadedRun | null;
}

async function groundOf(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: Ground['policySet'],
): Promise<Ground> {
  const plan = await deps.plan(tx, row.planHash);
  if (plan === null) throw new Error(`plan ${row.planHash} of run ${row.id} is not in the store`);
  const kit = makeKit(policySet, row.environment, await deps.people(tx, row));
  return { row, plan, policySet, kit, loaded: await loadRun(deps, tx, row) };
}

async function take(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: Ground['policySet'],
  input: StepInput,
): Promise<StepResult> {
  const document = documentOf(row);
  if (input.gaveUp !== null && document !== null)
    return giveUpOn(deps, tx, { row, policySet, before: bareRun(document) }, input, input.gaveUp);
  const ground = await groundOf(deps, tx, row, policySet);
  const incoming = await readArrivals(deps, tx, row, input.arrivals);
  const first = ground.loaded ?? firstState(ground, incoming[0]);
  if (typeof first === 'string') return { status: 'refused', reason: first };
  const course =
    input.gaveUp === null
      ? await decideAll(deps, tx, ground, first.state, incoming, input)
      : giveUpWith(
          first,
          incoming.flatMap((each) => (each.taken === null ? [] : [each.taken])),
          input,
          input.gaveUp,
        );
  // Nothing to decide, nothing to record: the run is as it was.
  const isIdle = course.taken.length + course.facts.length + course.effects.length === 0;
  if (isIdle && ground.loaded !== null && isSame(course.after, ground.loaded.state))
    return unchanged(tx, row);
  return persist(deps, tx, {
    ...{ row, plan: ground.plan, policySet, before: ground.loaded, ...course },
    rev: row.rev + 1,
    eventKey: 'step',
    fingerprints: input.arrivals.map(fingerprintOf),
    isForked: false,
    time: new Date().toISOString(),
  });
}

/** A state may hold megabytes: what nothing has touched is not looked through. */
function isSame(a: RunState, b: RunState): boolean {
  return a === b || canonical(a) === canonical(b);
}

async function unchanged(tx: Tx, row: RunRow): Promise<Stepped> {
  const last = await getStep(tx, row.id, row.rev);
  if (last === null) throw new Error(`step ${row.rev} of run ${row.id} is not in the store`);
  return resultOf(row, last);
}

/** A run as a step finds it, or as its first step makes it. */
interface Beginning {
  readonly state: RunState;
  /** Absent: it has begun. */
  readonly start?: GivingUp['start'];
}

/** The run's first state, when its start is attested, matches its row and was not withdrawn. */
function firstState({ plan, row }: Ground, start: Incoming | undefined): Beginning | string {
  const event = start?.event(new Date().toISOString());
  if (row.status === 'failed') return 'withdrawn';
  if (event?.kind !== 'message' || event.message.body.kind !== 'start')
    return event?.kind === 'refused_message' ? event.reason : 'unsigned';
  const { body } = event.message;
  if (
    body.planHash !== row.planHash ||
    body.flow !== row.flow ||
    body.environment !== row.environment ||
    body.mode !== row.mode
  )
    return 'wrong_run';
  const state = initialRun(plan, row.planHash, event.message);
  return state === null ? 'unsigned' : { state, start: unstarted(event.message, body) };
}

/** What arrived, in its order; what is due by now; and, where the run ends, everything that it was asked besides. */
async function decideAll(
  deps: ActivityDeps,
  tx: Tx,
  ground: Ground,
  first: RunState,
  incoming: readonly Incoming[],
  input: StepInput,
): Promise<Course> {
  const course = beginCourse(ground, first, input.rev);
  for (const each of incoming) course.take(each);
  const kinds = new Set(input.arrivals.map((arrival) => arrival.kind));
  // A decision that was made in time is in the store, wherever its bell is.
  if (kinds.has('look') || kinds.has('time'))
    await sweep(deps, tx, ground.row, course, kinds.has('look') ? null : 'decide');
  if (kinds.has('look') || kinds.has('time')) course.takeDue();
  while (course.isClosed() && (await sweep(deps, tx, ground.row, course, null)) > 0);
  return course.done();
}

/**
 * The run is stuck over what it could not take, and whoever asked is told so. None of the code that failed runs again:
 * no message is opened, no value read, and a plan that is gone is done without.
 */
async function giveUpOn(
  deps: ActivityDeps,
  tx: Tx,
  at: { readonly row: RunRow; readonly policySet: Ground['policySet']; readonly before: LoadedRun },
  input: StepInput,
  why: string,
): Promise<Stepped> {
  const taken = await takeUnread(tx, input.run, input.arrivals);
  const plan = await planIfAny(deps, tx, at.row);
  return persist(deps, tx, {
    ...{ ...at, plan, ...giveUpWith(at.before, taken, input, why) },
    rev: at.row.rev + 1,
    eventKey: 'step',
    fingerprints: input.arrivals.map(fingerprintOf),
    isForked: false,
    time: new Date().toISOString(),
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

function giveUpWith(
  { state, start = null }: Beginning,
  taken: readonly Taken[],
  { rev }: StepInput,
  why: string,
): Course {
  const decision = giveUp(state, {
    ...{ code: 'STEP_FAILED', key: `s${rev}.failed`, time: new Date().toISOString(), why, start },
    messages: taken.map(({ id }) => id),
  });
  const { state: after, effects, trace: facts, actions } = decision;
  return { after, effects, facts, actions, taken, arrived: [] };
}

/**
 * The store and Temporal's history are two memories of one run. Where they tell of different pasts nothing goes on: the
 * run is stuck, which is recorded and shown, and the kernel goes on from the store's past. Its arrivals come again.
 */
async function fork(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: Ground['policySet'],
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
  const decision = giveUp(before.state, {
    ...{
      code: 'HISTORY_FORKED',
      key: `s${row.rev + 1}.forked`,
      time: new Date().toISOString(),
      why,
      start: null,
    },
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
    ...{ after: decision.state, effects: decision.effects, facts: decision.trace, actions: decision.actions },
    ...{ taken: [], arrived: [], rev: row.rev + 1, time: new Date().toISOString() },
  });
  return { ...forked, left };
}
