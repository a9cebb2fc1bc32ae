import { startMessageId } from '../model/names/derived-ids.js';
import { newId } from '../model/names/ids.js';
import type { SealedMessage, SignedBody } from '../model/message.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { bellOf } from '../auth/index.js';
import { isUnavailable, settleTogether, valueOf, withTransaction, type Tx } from '../db/index.js';
import { closeUnstarted, getListedRun, insertRun } from '../store/runs/runs.js';
import {
  currentId,
  jsonValue,
  readSeal,
  refsToCome,
  refuseTooLarge,
  storeMessages,
  traceValues,
  type MessageDraft,
  type Value,
} from './replay/attest.js';
import { waitForAnswer } from './post.js';
import { makeSubmission, submit } from './submit.js';
import type { MessageOutcome, StartOutcome, StartRequest, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';
import * as temporal from './temporal.js';

type RecordingDeps = Pick<ClientDeps, 'payloads' | 'keys'>;

export async function start(deps: ClientDeps, waiter: Waiter, request: StartRequest): Promise<StartOutcome> {
  const refusal = refuseTooLarge(startValues(request)) ?? (await request.refuse?.([])) ?? null;
  if (refusal !== null) return { status: 'refused', refusal };
  const message = await withTransaction(deps.pool, (tx) => recordStart(deps, tx, request));
  if (message !== null) {
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
  const refusal =
    refuseTooLarge(startValues(request)) ??
    refuseTooLarge(asked.values) ??
    (await request.refuse?.(refsToCome(asked.values))) ??
    null;
  if (refusal !== null) return { status: 'answered', answer: refusal, by: 'door' };
  const kept = await withTransaction(deps.pool, (tx) =>
    keepStart(deps, tx, request, { ...asked, id: first.messageId }),
  );
  const [started, message] = kept ?? [];
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

function placeOf({ run, environment, flow, mode }: StartRequest): temporal.Place {
  return { id: run, namespace: namespaceOf(environment), flow, mode, leftTo: null };
}

function startValues({ input, trace }: StartRequest): Value[] {
  return [jsonValue('input', input), ...traceValues(trace)];
}

/** Stores a start. Null: an earlier attempt of this request has already started the run. */
export async function recordStart(
  deps: RecordingDeps,
  tx: Tx,
  request: StartRequest,
): Promise<SealedMessage | null> {
  const [message = null] = (await keepStart(deps, tx, request, null)) ?? [];
  return message;
}

/** Stores the run with the message of its start and, if there is one, of its first submit, and gives these messages. */
async function keepStart(
  deps: RecordingDeps,
  tx: Tx,
  request: StartRequest,
  first: Omit<MessageDraft, 'run' | 'environment'> | null,
): Promise<readonly SealedMessage[] | null> {
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
