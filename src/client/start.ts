import { newId } from '../model/ids.js';
import { canonical } from '../model/canonical.js';
import type { AttestedMessage, MessageBody } from '../model/message.js';
import { withTransaction, type Tx } from '../db/index.js';
import { put } from '../store/outbox.js';
import { getRun, insertRun } from '../store/runs.js';
import { attest, startMessageId, traceRefs } from './attest.js';
import { concluded } from './send.js';
import { submission, submit } from './submit.js';
import type { MessageOutcome, StartOutcome, StartRequest, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';
import * as temporal from './temporal.js';

export async function start(deps: ClientDeps, waiter: Waiter, request: StartRequest): Promise<StartOutcome> {
  const attested = await withTransaction(deps.pool, (tx) => recordStart(deps, tx, request));
  if (attested !== null) {
    const started = await temporal.startRun(deps, attested);
    const isWithdrawn = started === 'unavailable' && (await withdrawn(deps, attested));
    if (isWithdrawn) return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
  }
  return { status: await waiter.settled(deps.pool, request.run, request.waitMs) };
}

/**
 * The run and the first thing that is asked of it, in one call: its first task takes both. Where nobody answers in time
 * each goes its own way, as `start` and `submit` leave them. A run that was started before only takes the submit.
 */
export async function startWithSubmit(
  deps: ClientDeps,
  request: StartRequest,
  first: SubmitRequest,
): Promise<MessageOutcome> {
  const made = await withTransaction(deps.pool, async (tx) => {
    const start = await recordStart(deps, tx, request);
    if (start === null) return null;
    const given = await submission(deps, tx, first);
    return { start, given, attested: await attest(deps, tx, given) };
  });
  if (made === null) return submit(deps, first);
  const { start, given, attested } = made;
  const reply = await temporal.startWithUpdate(deps, start, 'submit', attested, Math.max(first.waitMs, 50));
  const isStarted =
    reply.status === 'late'
      ? (await temporal.startRun(deps, start)) === 'started'
      : reply.status !== 'unavailable';
  if (!isStarted && (await withdrawn(deps, start)))
    return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
  return concluded(deps, namespaceOf(request), given, isStarted ? reply : { status: 'late' });
}

async function withdrawn(deps: ClientDeps, { message }: AttestedMessage): Promise<boolean> {
  return (await temporal.withdraw(deps, message.run, message.id)) === 'withdrawn';
}

function namespaceOf({ environment }: StartRequest): string {
  return `countersign-${environment}`;
}

/** Null: this run was started before, by a request that is being repeated. */
export async function recordStart(
  deps: Pick<ClientDeps, 'payloads' | 'keys'>,
  tx: Tx,
  request: StartRequest,
): Promise<AttestedMessage | null> {
  const { run, flow, flowVersion, planHash, environment, mode, principal } = request;
  if ((await getRun(tx, run)) !== null) return null;
  const traceId = newId('trc');
  const time = new Date().toISOString();
  await insertRun(tx, {
    ...{ id: run, flow, flowVersion, planHash, environment, mode, traceId },
    namespace: namespaceOf(request),
    state: request.initialState,
    status: 'running',
    version: 0,
    rev: 0,
    startedBy: principal.id,
    startedByKind: principal.kind,
    startedAt: time,
    updatedAt: time,
    problem: null,
    doc: null,
  });
  const input = await deps.payloads.put(tx, run, 'input', 'application/json', canonical(request.input));
  const refs = [input, ...(await traceRefs(deps, tx, run, request.trace))];
  const facts = { flow, flowVersion, planHash, environment, mode, traceId };
  const body: MessageBody = { kind: 'start', ...facts, input: request.input };
  const signed = await attest(deps, tx, { id: startMessageId(run), run, principal, body, refs });
  await put(tx, { id: signed.message.id, run, kind: 'start', payload: signed });
  return signed;
}
