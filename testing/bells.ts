import assert from 'node:assert/strict';
import { makePayloads } from '../src/audit/index.js';
import { bellOf, loadKeys } from '../src/auth/index.js';
import type { Value } from '../src/client/replay/attest.js';
import { withTransaction, type Pool } from '../src/db/index.js';
import { newId } from '../src/model/names/ids.js';
import type { Bell, SealedMessage, SignedBody, SignedMessage } from '../src/model/message.js';
import type { Principal } from '../src/model/principal.js';
import { namespaceOf } from '../src/model/names/temporal-names.js';
import { insertDecision } from '../src/store/approvals/decisions.js';
import { getRun } from '../src/store/runs/runs.js';
import { asSuperuser } from './servers/database.js';
import { storeMessage } from './messages.js';
import type { Stack } from './servers/stack.js';

// Goes around the API: sends signals straight to Temporal, and stores messages without ringing for them.

export interface EncodedPayload {
  readonly metadata: { readonly encoding?: string };
  readonly data?: string;
}

export function encodePayload(encoding: string, text: string): EncodedPayload {
  const base64 = (value: string): string => Buffer.from(value).toString('base64');
  return { metadata: { encoding: base64(encoding) }, data: base64(text) };
}

export const jsonPayload = (value: unknown): EncodedPayload =>
  encodePayload('json/plain', JSON.stringify(value));

/** Sends a signal, which is durable in Temporal when this resolves, whether or not a worker is up. Gives the HTTP status. */
export async function sendTo(
  { temporalHttp }: Pick<Stack, 'temporalHttp'>,
  run: string,
  name: string,
  payloads: readonly EncodedPayload[],
  environment = 'staging',
): Promise<number> {
  const path = `/api/v1/namespaces/${namespaceOf(environment)}/workflows/${run}/signal/${name}`;
  const response = await fetch(`${temporalHttp}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { payloads } }),
  });
  await response.text();
  return response.status;
}

export async function ring(
  stack: Pick<Stack, 'temporalHttp'>,
  run: string,
  bell: Bell,
  environment = 'staging',
): Promise<void> {
  assert.equal(await sendTo(stack, run, bell.kind, [jsonPayload(bell)], environment), 200);
}

/** The messages that the store has for a run, in order. */
export async function messagesOf(
  { databaseUrl }: Pick<Stack, 'databaseUrl'>,
  run: string,
): Promise<readonly SealedMessage[]> {
  const { rows } = await asSuperuser(
    databaseUrl,
    `select id, run, kind, text, digest, key_id as "keyId", signature from message where run = $1 order by seq`,
    [run],
  );
  return rows as SealedMessage[];
}

/** The bell of the run's last message of that kind, as the service rings it. */
export async function lastBell(
  stack: Pick<Stack, 'databaseUrl'>,
  run: string,
  kind: Bell['kind'],
): Promise<Bell> {
  const found = (await messagesOf(stack, run)).filter((message) => message.kind === kind).at(-1);
  assert.ok(found, `the store has a ${kind} of ${run}`);
  return bellOf(found);
}

/** Signs and stores messages as the service does, without ringing for them; the outbox rings after five seconds. */
export async function keepMessages(
  stack: Pick<Stack, 'home'>,
  pool: Pool,
  run: string,
  asked: readonly {
    readonly principal: Principal;
    readonly body: SignedBody;
    readonly values?: readonly Value[];
  }[],
): Promise<readonly SealedMessage[]> {
  const keys = await loadKeys(stack.home, {});
  const row = await getRun(pool, run);
  assert.ok(row, `the store has run ${run}`);
  const { environment } = row;
  const deps = { keys, payloads: makePayloads({ kek: keys.kek }) };
  return withTransaction(pool, async (tx) => {
    const kept: SealedMessage[] = [];
    for (const each of asked) {
      const id = newId(each.body.kind === 'decide' ? 'dec' : 'msg');
      kept.push((await storeMessage(deps, tx, { values: [], ...each, id, run, environment })).message);
    }
    return kept;
  });
}

/** Stores an approval as the API makes it durable; its run has not heard of it. */
export async function keepDecision(
  stack: Pick<Stack, 'home'>,
  pool: Pool,
  by: Principal,
  { run, approval, digest }: { readonly run: string; readonly approval: string; readonly digest: string },
): Promise<SealedMessage> {
  const body = {
    kind: 'decide',
    approval,
    digest,
    decision: 'approve',
    reasonGiven: false,
    via: 'rest',
  } as const;
  const [message] = await keepMessages(stack, pool, run, [{ principal: by, body }]);
  assert.ok(message);
  const { time } = JSON.parse(message.text) as SignedMessage;
  await insertDecision(pool, {
    ...{ id: message.id, approval, run, byId: by.id, byKind: by.kind, decision: 'approve', digest },
    ...{ reasonRef: null, at: time, status: 'accepted', code: null },
  });
  return message;
}
