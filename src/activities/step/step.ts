import type { Plan } from '../../engine/plan.js';
import type { Kit, RunState } from '../../engine/state.js';
import { initialRun, unstarted } from '../../engine/index.js';
import { sameJson } from '../../model/canonical.js';
import { makeTurns } from '../../model/give-way.js';
import { startMessageId } from '../../model/derived-ids.js';
import { isUnavailable, storeTime, withTransaction, type Tx } from '../../db/index.js';
import { requirePlan } from '../../store/cached.js';
import { documentOf } from '../../store/document.js';
import { lockUntaken } from '../../store/messages.js';
import { getStep, lockRun, showUnstepped, type RunRow } from '../../store/runs.js';
import { readArrivals, readStored, type Incoming } from './arrivals.js';
import { beginCourse, takeUnrung, type Course } from './course.js';
import type { ActivityDeps } from '../deps.js';
import { runWithoutValues, isAsWritten, loadRun, type LoadedRun } from './document.js';
import {
  closeUnbegun,
  fork,
  forkFrom,
  giveUpOn,
  giveUpWith,
  closeWithoutFirstStep,
  refuseStart,
  type Beginning,
} from './giving-up.js';
import { showProblemOf, persistStep } from './persist.js';
import { loadKit } from './rights.js';
import { repeatStoredStep, fingerprintOf, repeatLastStep } from './stored-step.js';
import type { StepInput, StepResult } from '../types.js';

/** How long a step waits for a store that is away; after that the kernel waits, in its history. */
const patienceMs = 8_000;

/**
 * The run's policy check, a local activity: verify what arrived, decide, record, project and answer, in one
 * transaction. It may run more than once for one step (a worker died before its task was complete), so its stored
 * result is given again: a later engine never changes what was decided.
 */
export async function step(deps: ActivityDeps, input: StepInput): Promise<StepResult> {
  const until = Date.now() + patienceMs;
  let waits = false;
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    try {
      const result = await withTransaction(deps.pool, (tx) => stepIn(deps, tx, input));
      if (result.status === 'refused') return await refuseStart(deps, input, result.reason);
      return result.status === 'stepped' ? { ...result, given: input.arrivals.length } : result;
    } catch (error) {
      if (!isUnavailable(error)) {
        if (input.gaveUp === null || input.rev > 1) throw error;
        return await closeWithoutFirstStep(deps, input, input.gaveUp);
      }
      if (!waits) deps.onStoreWait();
      waits = true;
      if (Date.now() > until) return { status: 'waiting' };
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

async function stepIn(deps: ActivityDeps, tx: Tx, input: StepInput): Promise<StepResult> {
  // Asked together, and answered in order: what follows the run is read behind the lock on it.
  const [locked, policies] = await Promise.allSettled([lockRun(tx, input.run), deps.policySet(tx)]);
  const row = valueOf(locked);
  if (row === null) return { status: 'refused', reason: 'wrong_run' };
  const stored = row.rev < input.rev ? null : await getStep(tx, input.run, input.rev);
  if (stored !== null && stored.builtOn === input.builtOn)
    return repeatStoredStep(stored.eventKey, stored.result, input);
  if (row.rev === 0 && input.rev > 1) return forkUnbegun(deps, tx, row, valueOf(policies), input);
  const isNext = row.rev === input.rev - 1 && row.docDigest === input.builtOn && isAsWritten(row);
  if (isNext || row.rev === 0) return takeArrivals(deps, tx, row, valueOf(policies), input);
  return fork(deps, tx, row, valueOf(policies), input);
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

interface StepBasis {
  readonly row: RunRow;
  readonly plan: Plan;
  readonly policySet: Awaited<ReturnType<ActivityDeps['policySet']>>;
  readonly kit: Kit;
  /** Of the store, behind the lock on the run. */
  readonly time: string;
  /** Null: it has taken no step. */
  readonly loaded: LoadedRun | null;
  /** What the step goes on from, or begins with; a text: why the start that it would begin with is refused. */
  readonly first: Beginning | string;
}

async function loadBasis(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: StepBasis['policySet'],
  start: Incoming | undefined,
): Promise<StepBasis> {
  const plan = await requirePlan(deps.plan, tx, row.planHash);
  const time = await storeTime(tx);
  const loaded = await loadRun(deps, tx, row);
  const kit = await loadKit(deps, tx, row, plan, policySet, loaded?.state ?? null);
  return {
    row,
    plan,
    policySet,
    kit,
    time,
    loaded,
    first: loaded ?? makeFirstState({ row, plan, time }, start),
  };
}

async function takeArrivals(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: StepBasis['policySet'],
  input: StepInput,
): Promise<StepResult> {
  const document = documentOf(row);
  if (input.gaveUp !== null && document !== null)
    return giveUpOn(deps, tx, { row, policySet, before: runWithoutValues(document) }, input, input.gaveUp);
  const incoming = await readArrivals(deps, tx, row, input.arrivals);
  const basis = await loadBasis(deps, tx, row, policySet, incoming[0]);
  const { first } = basis;
  if (typeof first === 'string') return refuseFirst(tx, row, incoming[0], first);
  const course =
    input.gaveUp === null
      ? await decideAll(deps, tx, basis, first.state, incoming, input)
      : giveUpWith(
          first,
          {
            taken: incoming.flatMap((each) => (each.taken === null ? [] : [each.taken])),
            arrived: incoming.flatMap((each) => each.values),
          },
          input,
          { why: input.gaveUp, time: basis.time },
        );
  // Nothing was decided or recorded: the run is as it was, and is shown so again where it had been left to another deployment.
  const isIdle = course.taken.length + course.facts.length + course.effects.length === 0;
  if (isIdle && basis.loaded !== null && sameJson(course.after, basis.loaded.state)) {
    const { status } = course.after;
    await showUnstepped(tx, row.id, { status, problem: showProblemOf(course.after, basis.plan) });
    return repeatLastStep(tx, row);
  }
  return persistStep(deps, tx, {
    row,
    plan: basis.plan,
    policySet,
    before: basis.loaded,
    ...course,
    rev: row.rev + 1,
    eventKey: 'step',
    fingerprints: input.arrivals.map(fingerprintOf),
    isForked: false,
    time: basis.time,
  });
}

/** Closes the run where its own start is refused. Another message, or a stranger's workflow, does not close it. */
async function refuseFirst(
  tx: Tx,
  row: RunRow,
  start: Incoming | undefined,
  reason: string,
): Promise<StepResult> {
  if (start?.taken?.id === startMessageId(row.id) && row.status !== 'failed')
    await closeUnbegun(tx, row.id, {
      code: 'START_REFUSED',
      message: `the run's start was refused: ${reason}`,
    });
  return { status: 'refused', reason };
}

/** The store has forgotten that the run began, and the workflow has not: it is for an operator to begin it again. */
async function forkUnbegun(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  policySet: StepBasis['policySet'],
  input: StepInput,
): Promise<StepResult> {
  const [sealed] = await lockUntaken(tx, row.id, { kind: 'start', except: [], limit: 1 });
  const start = sealed === undefined ? undefined : await readStored(deps, tx, row, sealed, 0);
  const { first } = await loadBasis(deps, tx, row, policySet, start);
  if (typeof first === 'string') return refuseFirst(tx, row, start, first);
  const why = `the store has taken no step of this run, and the workflow goes on from ${input.rev - 1} of another past: was one of them restored or reset?`;
  const taken = start?.taken === undefined || start.taken === null ? [] : [start.taken];
  const at = { row, policySet, before: null, first, taken, arrived: start?.values ?? [] };
  const left = input.arrivals.map((_, index) => index);
  return { ...(await forkFrom(deps, tx, at, input, why)), left };
}

/** The run's first state, when its start is attested, matches its row and was not withdrawn. */
function makeFirstState(
  { plan, row, time }: Pick<StepBasis, 'plan' | 'row' | 'time'>,
  start: Incoming | undefined,
): Beginning | string {
  const event = start?.event(time);
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
  basis: StepBasis,
  first: RunState,
  incoming: readonly Incoming[],
  input: StepInput,
): Promise<Course> {
  const course = beginCourse({ ...basis, onInternalError: deps.onInternalError }, first, input.rev);
  const turn = makeTurns();
  for (const each of incoming) {
    course.take(each);
    await turn();
  }
  const kinds = new Set(input.arrivals.map((arrival) => arrival.kind));
  // A decision that was made in time is in the store, also where its bell has not come.
  if (kinds.has('look') || kinds.has('time'))
    await takeUnrung(deps, tx, basis.row, course, kinds.has('look') ? null : 'decide');
  if (kinds.has('look') || kinds.has('time')) course.takeDue();
  while (course.isClosed() && (await takeUnrung(deps, tx, basis.row, course, null)) > 0);
  return course.done();
}
