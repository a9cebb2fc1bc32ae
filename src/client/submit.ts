import { canonical } from '../model/canonical.js';
import type { MessageBody } from '../model/message.js';
import { withTransaction, type Tx } from '../db/index.js';
import { getRun } from '../store/runs.js';
import { traceRefs, type Attest } from './attest.js';
import { send, unknownRun } from './send.js';
import type { MessageOutcome, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';

export async function submit(deps: ClientDeps, request: SubmitRequest): Promise<MessageOutcome> {
  const row = await getRun(deps.pool, request.run);
  if (row === null) return unknownRun(request.run);
  const given = await withTransaction(deps.pool, (tx) => submission(deps, tx, request));
  return send(deps, row.namespace, given, request.waitMs);
}

/** What is asked for, with its arguments and its reasoning kept. */
export async function submission(deps: ClientDeps, tx: Tx, request: SubmitRequest): Promise<Attest> {
  const { run, messageId, transition, expectedVersion, principal } = request;
  const refs = [
    await deps.payloads.put(tx, run, 'args', 'application/json', canonical(request.arguments)),
    ...(await traceRefs(deps, tx, run, request.trace)),
  ];
  const body: MessageBody = { kind: 'submit', transition, arguments: request.arguments, expectedVersion };
  return { id: messageId, run, principal, body, refs };
}
