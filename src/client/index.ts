import { newId } from '../model/ids.js';
import { canonical } from '../model/canonical.js';
import type { AttestedMessage, Message, MessageBody } from '../model/message.js';
import type { Principal } from '../model/principal.js';
import type { PayloadRef } from '../model/records.js';
import { currentSigningKey, signMessage } from '../auth/index.js';
import { isUnavailable, withTransaction, type Queryable, type Tx } from '../db/index.js';
import { getAction } from '../store/actions.js';
import { getDecision, insertDecision } from '../store/decisions.js';
import { put } from '../store/outbox.js';
import { getRun, insertRun } from '../store/runs.js';
import type {
  Answer,
  DecideRequest,
  MessageOutcome,
  OperateRequest,
  RunClient,
  StartOutcome,
  StartRequest,
  SubmitRequest,
  Trace,
} from './types.js';
import type { ClientDeps } from './deps.js';
import { makeOutbox } from './outbox.js';
import { makeWaiter, type Waiter } from './waiter.js';
import { historyOf } from './history.js';
import { replayRun } from './replay.js';
import * as temporal from './temporal.js';

export type { ClientDeps } from './deps.js';
export type { RunClient } from './types.js';

/** How long an update may take before the signal with the same id makes the message durable. */
const updateDeadlineMs = 3_000;

/** Hides Temporal: what must be durable is in Postgres before anything is sent. */
export async function makeClient(deps: ClientDeps): Promise<RunClient & { startOutbox(): void }> {
  const waiter = await makeWaiter(deps.databaseUrl);
  const outbox = makeOutbox(deps);
  return {
    start: (request) => guarded(() => start(deps, waiter, request)),
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

interface Attest {
  readonly id: string;
  readonly run: string;
  readonly principal: Principal;
  readonly body: MessageBody;
  readonly refs: readonly PayloadRef[];
  /** When it was asked, whatever its deliveries take; of each delivery unless said. */
  readonly time?: string;
}

/** A delivery of its own, signed with the key of this moment. */
async function attest(
  deps: Pick<ClientDeps, 'keys'>,
  q: Queryable,
  fields: Attest,
): Promise<AttestedMessage> {
  const message: Message = { v: 1, delivery: newId('msg'), time: new Date().toISOString(), ...fields };
  return signMessage({ signing: await currentSigningKey(q, deps.keys) }, message);
}

async function traceRefs(
  deps: Pick<ClientDeps, 'payloads'>,
  tx: Tx,
  run: string,
  trace: Trace | null,
): Promise<PayloadRef[]> {
  if (trace === null) return [];
  const refs: PayloadRef[] = [];
  if (trace.prompt !== undefined)
    refs.push(await deps.payloads.put(tx, run, 'prompt', 'text/plain', trace.prompt));
  if (trace.response !== undefined)
    refs.push(await deps.payloads.put(tx, run, 'response', 'text/plain', trace.response));
  refs.push(await deps.payloads.put(tx, run, 'trace', 'application/json', canonical(trace)));
  return refs;
}

async function start(deps: ClientDeps, waiter: Waiter, request: StartRequest): Promise<StartOutcome> {
  const attested = await withTransaction(deps.pool, (tx) => recordStart(deps, tx, request));
  if (attested !== null) {
    const started = await temporal.startRun(deps, attested);
    if (started === 'unavailable') {
      await temporal.withdraw(deps, request.run, attested.message.id);
      return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
    }
  }
  return { status: await waiter.settled(deps.pool, request.run, request.waitMs) };
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
    namespace: `countersign-${environment}`,
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

/** Deterministic: a start that is repeated is the same message. */
function startMessageId(run: string): string {
  return `msg_${run.slice('run_'.length)}`;
}

async function submit(deps: ClientDeps, request: SubmitRequest): Promise<MessageOutcome> {
  const row = await getRun(deps.pool, request.run);
  if (row === null) return unknownRun(request.run);
  const refs = await withTransaction(deps.pool, async (tx) => [
    await deps.payloads.put(tx, request.run, 'args', 'application/json', canonical(request.arguments)),
    ...(await traceRefs(deps, tx, request.run, request.trace)),
  ]);
  const body: MessageBody = {
    kind: 'submit',
    transition: request.transition,
    arguments: request.arguments,
    expectedVersion: request.expectedVersion,
  };
  return send(
    deps,
    row.namespace,
    { id: request.messageId, run: request.run, principal: request.principal, body, refs },
    request.waitMs,
  );
}

function unknownRun(run: string): MessageOutcome {
  return {
    status: 'answered',
    answer: { status: 'refused', code: 'NOT_FOUND', message: `no run \`${run}\`` },
  };
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

/**
 * Update first: it answers. Where no worker takes it in time, the signal with the same id is
 * durable, and the outbox sends it until the run has taken the message.
 */
async function send(
  deps: ClientDeps,
  namespace: string,
  given: Attest,
  waitMs: number,
): Promise<MessageOutcome> {
  const name = given.body.kind;
  if (name === 'start') throw new Error('a start is not sent as a message');
  const reply = await temporal.update(
    deps.forNamespace(namespace),
    given.run,
    name,
    await attest(deps, deps.pool, given),
    Math.max(waitMs, 50),
  );
  switch (reply.status) {
    case 'answered':
      return { status: 'answered', answer: reply.answer };
    case 'closed':
      return closedAnswer(deps, given);
    case 'unavailable':
      if (name !== 'decide') return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
      break;
    case 'late':
      if (name === 'submit' && (await getAction(deps.pool, `act_${given.id.slice(4)}`)) !== null)
        return { status: 'executing', messageId: given.id };
  }
  await put(deps.pool, {
    id: given.id,
    run: given.run,
    kind: name,
    payload: await attest(deps, deps.pool, given),
  });
  await temporal.deliver(deps, namespace, given.run, name, await attest(deps, deps.pool, given));
  return { status: 'executing', messageId: given.id };
}

/** Temporal refuses messages to closed runs: so do we, in the words of the contract. */
async function closedAnswer(deps: ClientDeps, given: Attest): Promise<MessageOutcome> {
  const row = await getRun(deps.pool, given.run);
  const answer: Answer = {
    status: 'refused',
    code: 'RUN_CLOSED',
    message: `the run is ${row?.status ?? 'closed'}`,
  };
  return { status: 'answered', answer };
}
