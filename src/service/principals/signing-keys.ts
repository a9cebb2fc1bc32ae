import { z } from 'zod';
import type { SigningKeyJson } from '../../model/contract/answer-types.js';
import type { JsonObject } from '../../model/values/json.js';
import type { Tx } from '../../db/index.js';
import {
  getSigningKey,
  listSigningKeys,
  lockSigningKeys,
  putSigningKey,
  retireSigningKeys,
  type SigningKeyRow,
} from '../../store/people/signing-keys.js';
import { actorOf, type Caller, transact } from '../caller.js';
import { makeKeptResult } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';

// The keys with which the service signs what enters a run. An operator changes them, on record as every act is.

/** Milliseconds. */
type Window = number;

const rotatedKey = z.object({ keyId: z.string() });

export interface SigningKeysRead {
  readonly kind: 'keys';
  readonly keys: readonly SigningKeyJson[];
}

/** Public halves of all keys that messages to runs were ever signed with, the newest first. */
export async function readSigningKeys(caller: Caller): Promise<SigningKeysRead | Refusal> {
  const refused = refuseCaller(caller, 'listSigningKeys');
  if (refused !== null) return refused;
  const rows = await listSigningKeys(caller.deps.pool);
  return { kind: 'keys', keys: rows.map(signingKeyJson) };
}

/** Makes a new key, which signs from the next message on, and retires all others after the window. Gives all keys. */
export async function rotateSigningKey(caller: Caller, window: Window): Promise<SigningKeysRead | Refusal> {
  const refused = refuseCaller(caller, 'rotateSigningKey');
  if (refused !== null) return refused;
  const { deps } = caller;
  const kept = makeKeptResult(caller, rotatedKey);
  const rows = await transact(caller, async (tx) => {
    const active = await lockSigningKeys(tx);
    if ((await kept.earlier(tx)) !== null) return listSigningKeys(tx);
    const made = deps.makeSigningKey();
    await putSigningKey(tx, made);
    await recordSigningKey(caller, tx, 'signing_key.made', { keyId: made.keyId, publicKey: made.publicKey });
    await retireSigningKeys(tx, active, window / 1_000);
    for (const keyId of active) await noteRetired(caller, tx, keyId);
    await kept.keep(tx, { keyId: made.keyId });
    return listSigningKeys(tx);
  });
  return { kind: 'keys', keys: rows.map(signingKeyJson) };
}

/** Retires a key after the window: later messages signed with it are refused. */
export async function retireSigningKey(
  caller: Caller,
  keyId: string,
  window: Window,
): Promise<{ readonly kind: 'key'; readonly body: SigningKeyJson } | Refusal> {
  const refused = refuseCaller(caller, 'retireSigningKey');
  if (refused !== null) return refused;
  return transact(caller, async (tx) => {
    const active = await lockSigningKeys(tx);
    const before = await getSigningKey(tx, keyId);
    if (before === null) return notFound('signing key', keyId);
    if (active.every((id) => id === keyId))
      return refusal(
        'LAST_SIGNING_KEY',
        `\`${keyId}\` is the only key that is not retired: \`POST /v1/signing-keys\` makes another one and retires it`,
      );
    await retireSigningKeys(tx, [keyId], window / 1_000);
    const after = await getSigningKey(tx, keyId);
    if (after === null) throw new Error(`the signing key \`${keyId}\` is gone`);
    if (after.retiredAt !== before.retiredAt) await noteRetired(caller, tx, keyId);
    return { kind: 'key', body: signingKeyJson(after) };
  });
}

async function noteRetired(caller: Caller, tx: Tx, keyId: string): Promise<void> {
  const row = await getSigningKey(tx, keyId);
  await recordSigningKey(caller, tx, 'signing_key.retired', { keyId, takenUntil: row?.retiredAt ?? '' });
}

async function recordSigningKey(
  caller: Caller,
  tx: Tx,
  type: 'signing_key.made' | 'signing_key.retired',
  data: JsonObject & { readonly keyId: string },
): Promise<void> {
  const time = caller.deps.now().toISOString();
  const key = `${caller.requestId}:${type}:${data.keyId}`;
  await caller.deps.chain.appendIn(tx, [
    { key, type, time, actor: actorOf(caller), permission: 'key.manage', traceId: caller.requestId, data },
  ]);
}

function signingKeyJson({
  keyId,
  publicKey,
  createdAt,
  retiredAt,
  isRetired,
}: SigningKeyRow): SigningKeyJson {
  const retiring = retiredAt === null ? 'active' : 'retiring';
  const status = isRetired ? 'retired' : retiring;
  return { keyId, algorithm: 'ed25519', publicKey, status, createdAt, retiredAt };
}
