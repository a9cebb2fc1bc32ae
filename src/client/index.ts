import type { MessageBody } from '../model/message.js';
import { isUnavailable, withTransaction } from '../db/index.js';
import { getDecision, insertDecision } from '../store/decisions.js';
import { put } from '../store/outbox.js';
import { getRun } from '../store/runs.js';
import { attest, type Attest } from './attest.js';
import type { DecideRequest, MessageOutcome, OperateRequest, RunClient } from './types.js';
import type { ClientDeps } from './deps.js';
import { makeOutbox } from './outbox.js';
import { send, unknownRun } from './send.js';
import { start, startWithSubmit } from './start.js';
import { submit } from './submit.js';
import { makeWaiter, type Waiter } from './waiter.js';
import { historyOf } from './history.js';
import { replayRun } from './replay.js';
import * as temporal from './temporal.js';

export type { ClientDeps } from './deps.js';
export type { RunClient } from './types.js';
export { recordStart } from './start.js';

/** How long an update may take before the signal with the same id makes the message durable. */
const updateDeadlineMs = 3_000;

/** Hides Temporal: what must be durable is in Postgres before anything is sent. */
export async function makeClient(deps: ClientDeps): Promise<RunClient & { startOutbox(): void }> {
  const waiter = await makeWaiter(deps.databaseUrl);
  const outbox = makeOutbox(deps);
  return {
    start: (request) => guarded(() => start(deps, waiter, request)),
    startWithSubmit: (request, first) => guarded(() => startWithSubmit(deps, request, first)),
    submit: (request) => guarded(() => submit(deps, request)),
    decide: (request) => guarded(() => decide(deps, request)),
    cancel: (request) => guarded(() => operate(deps, waiter, request, { kind: 'cancel' })),
    retry: (request) => guarded(() => operate(deps, waiter, request, { kind: 'retry' })),
    watch: (run, look, until) => waiter.watch(run, look, until),
    history: (run) => historyOf(deps, run),
    replay: (run) => replayRun(deps, run),
    health: () => temporal.health(deps),
    startOutbox: () => outbox.start(),
    close: async () => {
      await outbox.stop();
      await waiter.close();
    },
  };
}

type Unavailable = {
  readonly status: 'unavailable';
  readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE';
};

async function guarded<T>(act: () => Promise<T>): Promise<T | Unavailable> {
  try {
    return await act();
  } catch (error) {
    if (isUnavailable(error)) return { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' };
    if (temporal.isUnavailable(error)) return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
    throw error;
  }
}

/**
 * The human's act is durable before it is sent: row and outbox first, then the update, then a signal with the same id.
 * Should this process die at any point, the outbox of another one sends it.
 */
async function decide(deps: ClientDeps, request: DecideRequest): Promise<MessageOutcome> {
  const row = await getRun(deps.pool, request.run);
  if (row === null) return unknownRun(request.run);
  const given = await withTransaction(deps.pool, async (tx): Promise<Attest> => {
    const refs =
      request.reason === null
        ? []
        : [await deps.payloads.put(tx, request.run, 'reason', 'text/plain', request.reason)];
    const body: MessageBody = {
      kind: 'decide',
      approval: request.approval,
      decision: request.decision,
      digest: request.digest,
      reasonGiven: request.reason !== null,
      via: request.via,
    };
    // The human was in time or was not at the first request, however late the run hears of it.
    const earlier = await getDecision(tx, request.decisionId);
    const time = earlier?.attested.message.time ?? new Date().toISOString();
    const fields = {
      id: request.decisionId,
      run: request.run,
      principal: request.principal,
      body,
      refs,
      time,
    };
    const attested = await attest(deps, tx, fields);
    await put(tx, { id: request.decisionId, run: request.run, kind: 'decide', payload: attested });
    await insertDecision(tx, {
      id: request.decisionId,
      approval: request.approval,
      run: request.run,
      byId: request.principal.id,
      byKind: request.principal.kind,
      decision: request.decision,
      reasonRef: refs[0] ?? null,
      digest: request.digest,
      at: time,
      attested,
      status: 'accepted',
      code: null,
    });
    return fields;
  });
  return send(deps, row.namespace, given, request.waitMs ?? updateDeadlineMs);
}

async function operate(
  deps: ClientDeps,
  waiter: Waiter,
  request: OperateRequest,
  body: { kind: 'cancel' } | { kind: 'retry' },
): Promise<MessageOutcome> {
  const row = await getRun(deps.pool, request.run);
  if (row === null) return unknownRun(request.run);
  const reason = await deps.payloads.put(deps.pool, request.run, 'reason', 'text/plain', request.reason);
  const sent = await send(
    deps,
    row.namespace,
    { id: request.messageId, run: request.run, principal: request.principal, body, refs: [reason] },
    updateDeadlineMs,
  );
  if (sent.status === 'answered' && sent.answer.status !== 'refused')
    await waiter.settled(deps.pool, request.run, request.waitMs);
  return sent;
}
