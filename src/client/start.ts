import { startMessageId } from '../model/names/derived-ids.js';
import { newId } from '../model/names/ids.js';
import type { SealedMessage, SignedBody } from '../model/message.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { isUnavailable, settleTogether, valueOf, withTransaction, type Tx } from '../db/index.js';
import type { Refusal } from '../engine/state.js';
import { bellOf, keepWithRights, NoSigningKey, type RightsNow } from '../auth/index.js';
import type { PayloadRef } from '../model/records.js';
import { closeUnstarted, getListedRun, insertRun } from '../store/runs/runs.js';
import {
  currentId,
  jsonValue,
  readSeal,
  refuseUnsigned,
  refsToCome,
  refuseTooLarge,
  storeMessages,
  traceValues,
  type MessageDraft,
  type Value,
} from './replay/attest.js';
import { waitForAnswer } from './post.js';
import { makeRunQueues, runQueuesOf, type Turn } from './run-queues.js';
import { makeSubmission, submit } from './submit.js';
import type { MessageOutcome, StartOutcome, StartRequest, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';
import * as temporal from './temporal.js';

export type RecordingDeps = Pick<ClientDeps, 'payloads' | 'keys'>;

export async function start(deps: ClientDeps, waiter: Waiter, request: StartRequest): Promise<StartOutcome> {
  const refusal = refuseTooLarge(startValues(request));
  if (refusal !== null) return { status: 'refused', refusal };
  const kept = await keepInTurn(deps, waiter, request, null, []);
  if (kept.kind === 'refused') return { status: 'refused', refusal: kept.refusal };
  if (kept.kind !== 'kept') return tellUnkept(kept.kind);
  const [message] = kept.messages;
  if (message !== undefined) {
    const rung = await temporal.startRun(deps, placeOf(request), bellOf(message), null);
    if (rung !== 'rung' && (await closeIfUnstarted(deps, request.run)))
      return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
  }
  return { status: await waiter.settled(deps.pool, request.run, request.waitMs) };
}

/**
 * Starts a run with its first submit, so that its first workflow task takes both. If the run was started before, it only gets the
 * submit.
 */
export async function startWithSubmit(
  deps: ClientDeps,
  waiter: Waiter,
  request: StartRequest,
  first: SubmitRequest,
): Promise<MessageOutcome> {
  const asked = makeSubmission(first);
  const refusal = refuseTooLarge(startValues(request)) ?? refuseTooLarge(asked.values);
  if (refusal !== null) return { status: 'answered', answer: refusal, by: 'door' };
  const draft = { ...asked, id: first.messageId };
  const kept = await keepInTurn(deps, waiter, request, draft, refsToCome(asked.values));
  if (kept.kind === 'refused') return { status: 'answered', answer: kept.refusal, by: 'door' };
  if (kept.kind !== 'kept') return tellUnkept(kept.kind);
  const [started, message] = kept.messages;
  if (started === undefined || message === undefined) return submit(deps, waiter, first);
  const answered = waitForAnswer(deps, waiter, message, first.waitMs);
  const rung = await temporal.startRun(deps, placeOf(request), bellOf(started), bellOf(message));
  if (rung !== 'rung' && (await closeIfUnstarted(deps, request.run))) {
    answered.stop();
    await answered.outcome;
    return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
  }
  return answered.outcome;
}

/** How many starts are decided on paper at a time, in one process and for one principal: each takes as much work as its run's first step. */
const mostStarts = 4;
const mostOwnStarts = 1;
/** How long a start waits for its turns, to be decided on paper and to be kept, behind other requests. */
const longestStartWaitMs = 30_000;

const paperTurns = makeRunQueues({
  perRun: mostOwnStarts,
  atOnce: mostStarts,
  mostWaiting: Infinity,
  patienceMs: longestStartWaitMs,
});

/** What the caller of a start is told that is not kept. */
function tellUnkept(why: UnkeptStart): Extract<MessageOutcome, { status: 'unavailable' }> {
  const causes = {
    stopping: 'this process of the API is stopping, and the turn of this start had not come',
    late: `other requests came first, and the turn of this start did not come within ${longestStartWaitMs / 1_000} s`,
    rightsChanged:
      "while this start waited for its turn, its caller's rights changed, or could not be asked for again in time",
  };
  return {
    status: 'unavailable',
    code: 'AUDIT_UNAVAILABLE',
    message: `${causes[why]}: nothing of it is kept, try again`,
  };
}

type First = Omit<MessageDraft, 'run' | 'environment'>;

type Kept =
  /** No messages: an earlier attempt of this request has started the run already. */
  | { readonly kind: 'kept'; readonly messages: readonly SealedMessage[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Its turn did not come in time, the process stops, or its caller has other rights by then: nothing of the start was stored. */
  | { readonly kind: UnkeptStart };

type UnkeptStart = 'late' | 'stopping' | 'rightsChanged';

/** Stores a start when it is its turn among those of its principal. Until then it waits in memory, and holds no connection. */
async function keepInTurn(
  deps: ClientDeps,
  { stopping }: Waiter,
  request: StartRequest,
  first: First | null,
  refs: readonly PayloadRef[],
): Promise<Kept> {
  const { principal, refuse, rights } = request;
  const until = performance.now() + longestStartWaitMs;
  if (refuse !== undefined) {
    const turn = await paperTurns.take(principal.id, 'submits', stopping);
    if (turn.kind !== 'turn') return begunOr(turn.kind, deps, request);
    const refusal = await refuse(refs).finally(turn.end);
    if (refusal !== null) return { kind: 'refused', refusal };
  }
  // A third of what starts and requests to runs have together.
  const perRun = Math.max(1, Math.floor(deps.pool.options.max / 5));
  const patienceMs = Math.max(0, until - performance.now());
  const own = { perRun, mostWaiting: Infinity, patienceMs };
  const turn = await runQueuesOf(deps.pool).take(`starts of ${principal.id}`, 'submits', stopping, own);
  if (turn.kind !== 'turn') return begunOr(turn.kind, deps, request);
  try {
    const kept = await keepWithRights(rights, (check) =>
      withTransaction(deps.pool, (tx) => keepStart(deps, tx, request, { first, check })),
    );
    if (kept === 'rightsChanged') return await begunOr('rightsChanged', deps, request);
    return { kind: 'kept', messages: kept ?? [] };
  } catch (error) {
    if (!(error instanceof NoSigningKey)) throw error;
    return { kind: 'refused', refusal: refuseUnsigned(deps, error) };
  } finally {
    turn.end();
  }
}

async function begunOr(
  why: Exclude<Turn['kind'], 'turn'> | 'rightsChanged',
  { pool }: ClientDeps,
  { run }: StartRequest,
): Promise<Kept> {
  if ((await getListedRun(pool, run)) !== null) return { kind: 'kept', messages: [] };
  // Any number may wait, so it is never full.
  return { kind: why === 'full' ? 'late' : why };
}

function placeOf({ run, environment, flow, mode }: StartRequest): temporal.Place {
  return { id: run, namespace: namespaceOf(environment), flow, mode, leftTo: null };
}

function startValues({ input, trace }: Pick<StartRequest, 'input' | 'trace'>): Value[] {
  return [jsonValue('input', input), ...traceValues(trace)];
}

/**
 * Stores the run with the message of its start and, if there is one, of its first submit, and gives these messages. `stale`,
 * `rightsChanged`: see `keepWithRights`. Nothing was kept then.
 */
export async function keepStart(
  deps: RecordingDeps,
  tx: Tx,
  request: Omit<StartRequest, 'rights'>,
  { first, check }: { readonly first: First | null; readonly check: () => Promise<RightsNow> },
): Promise<readonly SealedMessage[] | 'stale' | 'rightsChanged' | null> {
  const { run, flow, flowVersion, planHash, environment, mode, principal } = request;
  const [known, ours, sealed, allowed, asked] = await settleTogether([
    getListedRun(tx, run),
    request.whileOurs?.(tx),
    // May wait for a change of the keys, so `mayBegin` comes after it and sees what is committed by then.
    readSeal(deps, tx),
    request.mayBegin?.(tx),
    // Differs from `first.id` if an earlier attempt was answered with 503: its message is withdrawn and its run closed.
    first === null ? null : currentId(tx, first.id),
  ]);
  if (valueOf(known) !== null) return null;
  valueOf(ours);
  valueOf(allowed);
  const [seal, current] = [valueOf(sealed), valueOf(asked)];
  const rights = await check();
  if (rights !== 'same') return rights;
  const traceId = newId('trc');
  const { time } = seal;
  await insertRun(tx, {
    id: run,
    flow,
    flowVersion,
    planHash,
    environment,
    mode,
    traceId,
    namespace: namespaceOf(environment),
    state: request.initialState,
    startedBy: principal.id,
    startedByKind: principal.kind,
    startedAt: time,
    updatedAt: time,
  });
  const body: SignedBody = { kind: 'start', flow, flowVersion, planHash, mode, traceId };
  const start = { id: startMessageId(run), run, environment, principal, body, values: startValues(request) };
  const next = first === null || current === null ? [] : [{ ...first, id: current.id, run, environment }];
  const stored = await storeMessages(deps, tx, seal, [start, ...next]);
  return stored.map(({ message }) => message);
}

/** Closes the run in the store so that it never runs. False if the store does not answer: the start is stored and may be taken. */
async function closeIfUnstarted({ pool }: ClientDeps, run: string): Promise<boolean> {
  try {
    return await withTransaction(pool, (tx) => closeUnstarted(tx, run));
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}
