import type { Plan } from '../../engine/plan.js';
import type { Kit, RunState } from '../../engine/state.js';
import { initialRun, unstarted } from '../../engine/index.js';
import { sameJson } from '../../model/values/canonical.js';
import { makeTurns } from '../../model/give-way.js';
import { startMessageId } from '../../model/names/derived-ids.js';
import { PayloadKeyUnopened } from '../../audit/index.js';
import { fingerprintOf } from '../../auth/index.js';
import {
  isUnavailable,
  settleTogether,
  storeTime,
  together,
  valueOf,
  withTransaction,
  type Tx,
} from '../../db/index.js';
import { requirePlan } from '../../store/flows/cached.js';
import { lockUntaken, type LockedMessage } from '../../store/runs/messages.js';
import { getStep, isWithdrawn, lockRun, showUnstepped, type RunRow } from '../../store/runs/runs.js';
import { isToEnd, lockNamed, readArrivals, readStored, type Incoming } from './arrivals.js';
import { beginCourse, takeUnrung, type Course } from './course.js';
import type { ActivityDeps } from '../deps.js';
import { isAsWritten, loadBareRun, loadValues, type LoadedRun } from './document.js';
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
import { addWayOn, persistStep } from './persist.js';
import { loadKit } from './rights.js';
import { repeatStoredStep, repeatLastStep } from './stored-step.js';
import { findCancel, recordCancel, showUnopened, type FoundCancel } from './unopened.js';
import type { StepInput, StepResult } from '../types.js';

/** How long a step itself waits for a store that is away; after that the kernel waits. */
const patienceMs = 8_000;

/**
 * The run's policy check, a local activity: verifies what arrived, decides, records, projects and answers, in one transaction. It
 * may run more than once for the same step (a worker died before its task was complete): then it gives its stored result again,
 * so that a later engine never changes what was decided.
 */
export async function step(deps: ActivityDeps, input: StepInput): Promise<StepResult> {
  const until = Date.now() + patienceMs;
  let waits = false;
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    try {
      const result = await withTransaction(deps.pool, (tx) => stepIn(deps, tx, input)).catch(
        (error: unknown) => goOnUnopened(deps, input, error),
      );
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

/**
 * What becomes of a step whose values do not open here: it waits, as for a store that is away, and the run shows why. It is tried
 * again in this worker, which keeps the run cached: another with the right key-encryption key takes it as it is once this one has
 * stopped, or no longer has the run cached, or once the run's history is long and another follows. Only a cancel is taken here, by this try or the next. Any other error is thrown.
 */
async function goOnUnopened(deps: ActivityDeps, input: StepInput, error: unknown): Promise<StepResult> {
  if (!(error instanceof PayloadKeyUnopened)) throw error;
  const done = await withTransaction(deps.pool, async (tx) => {
    const row = await lockRun(tx, input.run);
    const cancel = row === null ? null : await findCancel(deps, tx, row);
    if (row === null || cancel === null) return null;
    // The history knows of a run that has begun, so the store is another one: what became of the run is not to be said by a cancel.
    if (row.rev === 0 && input.rev > 1) return null;
    return cancelUnopened(deps, tx, row, cancel, input, error);
  });
  if (done !== null) return done;
  await showUnopened(deps, input.run, error, (_tx, { rev }) => rev < input.rev);
  return { status: 'waiting' };
}

/** Takes the cancel before all that has arrived, which the next step refuses. A run that has not begun never begins. */
async function cancelUnopened(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  cancel: FoundCancel,
  input: StepInput,
  unopened: PayloadKeyUnopened,
): Promise<StepResult> {
  if (row.rev === 0) {
    const message = `the run was cancelled by \`${cancel.message.principal.id}\` before it began: ${unopened.message}`;
    await closeUnbegun(tx, row.id, { code: 'KEY_UNOPENED', message }, cancel.sealed.id);
    await recordCancel(deps, tx, row, cancel);
    return { status: 'refused', reason: closedUnbegun };
  }
  if (row.rev !== input.rev - 1 || row.docDigest !== input.builtOn || !isAsWritten(row)) throw unopened;
  const found: Found = { row, policySet: await deps.policySet(tx), time: await storeTime(tx) };
  const alone: StepInput = { ...input, arrivals: [], gaveUp: null };
  const result = await takeArrivals(deps, tx, found, [cancel.sealed], alone, async () => [
    await readStored(deps, tx, row, cancel.sealed, 0),
  ]);
  return result.status === 'stepped' ? { ...result, left: input.arrivals.map((_, index) => index) } : result;
}

async function stepIn(deps: ActivityDeps, tx: Tx, input: StepInput): Promise<StepResult> {
  // Asked for together, and answered in order: what comes after the run is read behind the lock on it.
  const [locked, policies, named, time] = await settleTogether([
    lockRun(tx, input.run),
    deps.policySet(tx),
    lockNamed(tx, input.run, input.arrivals),
    storeTime(tx),
  ]);
  const row = valueOf(locked);
  if (row === null) return { status: 'refused', reason: 'wrong_run' };
  const stored = row.rev < input.rev ? null : await getStep(tx, input.run, input.rev);
  if (stored !== null && stored.builtOn === input.builtOn)
    return repeatStoredStep(stored.eventKey, stored.result, input);
  const policySet = valueOf(policies);
  const found: Found = { row, policySet, time: valueOf(time) };
  if (row.rev === 0 && input.rev > 1) return forkUnbegun(deps, tx, found, input);
  const isNext = row.rev === input.rev - 1 && row.docDigest === input.builtOn && isAsWritten(row);
  if (isNext || row.rev === 0) return takeArrivals(deps, tx, found, valueOf(named), input);
  return fork(deps, tx, row, policySet, input);
}

interface Found {
  readonly row: RunRow;
  readonly policySet: Awaited<ReturnType<ActivityDeps['policySet']>>;
  /** The store's time, taken behind the lock on the run. */
  readonly time: string;
}

interface StepBasis extends Found {
  readonly plan: Plan;
  readonly kit: Kit;
  /** Null: the run has taken no step. */
  readonly loaded: LoadedRun | null;
  /** What the step goes on from, or begins with; a text: why the start that the run would begin with is refused. */
  readonly first: Beginning | string;
}

/** Loads what the step decides on, and by what. `bare`: the run without its values. */
async function loadBasis(
  deps: ActivityDeps,
  tx: Tx,
  found: Found,
  bare: LoadedRun | null,
  arrived: () => Promise<readonly Incoming[]>,
  isCancel = false,
): Promise<StepBasis & { readonly incoming: readonly Incoming[] }> {
  const { row, policySet } = found;
  const plan = await requirePlan(deps.plan, tx, row.planHash);
  const [incoming, loaded, kit] = await together([
    arrived(),
    bare === null ? null : loadValues(deps, tx, bare).catch(isCancel ? goWithout(deps, bare) : undefined),
    loadKit(deps, tx, row, plan, policySet, bare?.state ?? null),
  ]);
  const first = loaded ?? makeFirstState({ ...found, plan }, incoming[0]);
  return { ...found, plan, kit, loaded, incoming, first };
}

/** A cancel reads no value, so a run can be cancelled whatever has become of its values. */
function goWithout(deps: ActivityDeps, bare: LoadedRun): (error: unknown) => LoadedRun {
  return (error) => {
    if (isUnavailable(error)) throw error;
    deps.onInternalError(`the values of run \`${bare.state.run}\`, which is cancelled without them`, error);
    return bare;
  };
}

async function takeArrivals(
  deps: ActivityDeps,
  tx: Tx,
  found: Found,
  named: readonly LockedMessage[],
  input: StepInput,
  read = (): Promise<Incoming[]> =>
    readArrivals(deps, tx, found.row, input.arrivals, { named, time: found.time }),
): Promise<StepResult> {
  const { row, policySet, time } = found;
  const bare = await loadBareRun(row);
  if (input.gaveUp !== null && bare !== null)
    return giveUpOn(deps, tx, { row, policySet, before: bare }, input, input.gaveUp);
  const isCancel =
    named.length > 0 && input.arrivals.length <= named.length && named.every(({ kind }) => kind === 'cancel');
  const isEnding = isCancel || (bare !== null && isToEnd(bare.state));
  const basis = await loadBasis(deps, tx, found, bare, read, isEnding);
  const { first, incoming } = basis;
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
          { why: input.gaveUp, time },
        );
  // Nothing was decided or recorded. The row is set to the run's status again, since it shows another where the run was left to another deployment.
  const isIdle = course.taken.length + course.facts.length + course.effects.length === 0;
  if (isIdle && basis.loaded !== null && sameJson(course.after, basis.loaded.state)) {
    const { status } = course.after;
    await showUnstepped(tx, row.id, { status, problem: addWayOn(course.after, basis.plan) });
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
    time,
  });
}

/** Closes the run where its own start is refused. Any other message, or a stranger's workflow, does not close it. */
async function refuseFirst(
  tx: Tx,
  row: RunRow,
  start: Incoming | undefined,
  reason: string,
): Promise<StepResult> {
  if (start?.taken?.id === startMessageId(row.id))
    await closeUnbegun(tx, row.id, {
      code: 'START_REFUSED',
      message: `the run's start was refused: ${reason}`,
    });
  return { status: 'refused', reason };
}

/** The store has forgotten that the run has begun, but the workflow has not: the run is stuck until an operator begins it again. */
async function forkUnbegun(deps: ActivityDeps, tx: Tx, found: Found, input: StepInput): Promise<StepResult> {
  const { row, policySet } = found;
  const [sealed] = await lockUntaken(tx, row.id, { kind: 'start', except: [], limit: 1 });
  const basis = await loadBasis(deps, tx, found, null, async () =>
    sealed === undefined ? [] : [await readStored(deps, tx, row, sealed, 0)],
  );
  const { first } = basis;
  const [start] = basis.incoming;
  if (typeof first === 'string') return refuseFirst(tx, row, start, first);
  const why = `the store has taken no step of this run, and the workflow goes on from ${input.rev - 1} of another past: was one of them restored or reset?`;
  const taken = start?.taken === undefined || start.taken === null ? [] : [start.taken];
  const at = { row, policySet, before: null, first, taken, arrived: start?.values ?? [] };
  const left = input.arrivals.map((_, index) => index);
  return { ...(await forkFrom(deps, tx, at, input, why)), left };
}

/** Why a run takes no first step that a worker has closed before it began, and not its API (`withdrawn`): its problem says over what. */
const closedUnbegun = 'closed';

/** The run's first state, where its start is signed, matches its row and was not withdrawn; otherwise why not. */
function makeFirstState(
  { plan, row, time }: Pick<StepBasis, 'plan' | 'row' | 'time'>,
  start: Incoming | undefined,
): Beginning | string {
  const event = start?.event(time);
  if (row.status === 'failed') return isWithdrawn(row) ? 'withdrawn' : closedUnbegun;
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

/** Decides what arrived, in its order; then what is due by now; and, where the run ends, all messages that still wait for it. */
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
  // A decision that was made in time is in the store, even if its bell has not come.
  if (kinds.has('look') || kinds.has('time'))
    await takeUnrung(deps, tx, basis.row, course, kinds.has('look') ? null : 'decide');
  if (kinds.has('look') || kinds.has('time')) course.takeDue();
  while (course.isClosed() && (await takeUnrung(deps, tx, basis.row, course, null)) > 0);
  return course.finish();
}
