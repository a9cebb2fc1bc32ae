import { startMessageId } from '../model/derived-ids.js';
import { newId } from '../model/ids.js';
import type { SealedMessage, SignedBody } from '../model/message.js';
import { namespaceOf } from '../model/temporal-names.js';
import { bellOf } from '../auth/index.js';
import { isUnavailable, storeTime, withTransaction, type Tx } from '../db/index.js';
import { closeUnstarted, getRun, insertRun } from '../store/runs.js';
import { currentId, jsonValue, storeMessage, refuseTooLarge, traceValues, type Value } from './attest.js';
import { waitForAnswer } from './post.js';
import { makeSubmission, submit } from './submit.js';
import type { MessageOutcome, StartOutcome, StartRequest, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';
import * as temporal from './temporal.js';

type RecordingDeps = Pick<ClientDeps, 'payloads' | 'keys'>;

export async function start(deps: ClientDeps, waiter: Waiter, request: StartRequest): Promise<StartOutcome> {
  const refusal = refuseTooLarge(startValues(request));
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
 * The run and the first thing that is asked of it, in one call: its first task takes both. A run that was started
 * before only takes the submit.
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
  const made = await withTransaction(deps.pool, async (tx) => {
    const started = await recordStart(deps, tx, request);
    if (started === null) return null;
    const { run, environment } = request;
    // An attempt that was answered with 503 has left its message withdrawn, and its run closed.
    const { id } = await currentId(tx, first.messageId);
    const { message } = await storeMessage(deps, tx, { ...asked, id, run, environment });
    return { started, message };
  });
  if (made === null) return submit(deps, waiter, first);
  const answered = waitForAnswer(deps, waiter, made.message, first.waitMs);
  const rung = await temporal.startRun(deps, placeOf(request), bellOf(made.started), bellOf(made.message));
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

/** Null: this run was started before, by a request that is being repeated. */
export async function recordStart(
  deps: RecordingDeps,
  tx: Tx,
  request: StartRequest,
): Promise<SealedMessage | null> {
  const { run, flow, flowVersion, planHash, environment, mode, principal } = request;
  if ((await getRun(tx, run)) !== null) return null;
  await request.whileOurs?.(tx);
  const traceId = newId('trc');
  const time = await storeTime(tx);
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
  const asked = { id: startMessageId(run), run, environment, principal, body, values: startValues(request) };
  return (await storeMessage(deps, tx, asked)).message;
}

/** Closes the run in the store, so that it never runs. False where the store does not answer: the start is kept and may be taken. */
async function closeIfUnstarted({ pool }: ClientDeps, run: string): Promise<boolean> {
  try {
    return await withTransaction(pool, (tx) => closeUnstarted(tx, run));
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}
