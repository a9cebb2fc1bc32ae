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
import { findOldestOpen } from '../../store/runs/runs.js';
import { actorOf, type Caller } from '../caller.js';
import { transact } from '../changes.js';
import { makeKeptResult } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { isKeyUnopened } from '../values.js';

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
  const foreign = await refuseForeignRuns(deps);
  if (foreign !== null) return foreign;
  const kept = makeKeptResult(caller, rotatedKey);
  const rows = await transact(caller, async (tx) => {
    const keys = await lockSigningKeys(tx);
    if ((await kept.earlier(tx)) !== null) return listSigningKeys(tx);
    const unopened = keys.find(deps.isSigningKeyUnopened);
    if (unopened !== undefined) return refuseUnopenedKey(unopened);
    const active = keys.map(({ keyId }) => keyId);
    const made = deps.makeSigningKey();
    await putSigningKey(tx, made);
    await recordSigningKey(caller, tx, 'signing_key.made', { keyId: made.keyId, publicKey: made.publicKey });
    await retireSigningKeys(tx, active, window / 1_000);
    for (const keyId of active) await noteRetired(caller, tx, keyId);
    await kept.keep(tx, { keyId: made.keyId });
    return listSigningKeys(tx);
  });
  return 'kind' in rows ? rows : { kind: 'keys', keys: rows.map(signingKeyJson) };
}

/**
 * A process with another key-encryption key than all others would make a signing key that none of them opens, and take theirs from
 * them. Its own is another where the open run that began first was not begun under it. Null: it is not.
 */
async function refuseForeignRuns({ pool, payloads }: Caller['deps']): Promise<Refusal | null> {
  const oldest = await findOldestOpen(pool);
  const closed = oldest === null ? null : await payloads.whyClosed(pool, oldest);
  if (!isKeyUnopened(closed)) return null;
  return refuseRotation(`${closed.message}, or the KEK of that run is lost: then cancel it`);
}

/** The same of a signing key of an earlier rotation. */
function refuseUnopenedKey({ keyId }: SigningKeyRow): Refusal {
  return refuseRotation(
    `the private half of \`${keyId}\` does not open here; see that every process of the service has the \`COUNTERSIGN_KEK\` (or \`keys/kek\` of the data folder) under which it was made; where that is lost, start them with another \`COUNTERSIGN_SIGNING_KEY\`, and retire this one first`,
  );
}

function refuseRotation(why: string): Refusal {
  const what =
    'no signing key is made here, since the other processes might not open it, and nothing is changed';
  return refusal('KEY_UNOPENED', `${what}: ${why}`, {}, 2);
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
    const keys = await lockSigningKeys(tx);
    const before = await getSigningKey(tx, keyId);
    if (before === null) return notFound('signing key', keyId);
    if (keys.every((key) => key.keyId === keyId))
      return refusal(
        'LAST_SIGNING_KEY',
        `\`${keyId}\` is the only key that is not retired: \`POST /v1/signing-keys\` makes another one and retires it; where this one does not open here, start the processes with another \`COUNTERSIGN_SIGNING_KEY\` first`,
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
