import { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import { humanPermissions } from '../../model/principal.js';
import type { CreatedKeyJson, KeyJson } from '../../model/contract/answer-types.js';
import type { JsonObject } from '../../model/values/json.js';
import { newId } from '../../model/names/ids.js';
import { hashApiKey, newApiKey } from '../../auth/index.js';
import { decodeCursor, toPage } from '../../store/cursor.js';
import {
  getKey,
  insertKey,
  insertPrincipal,
  listKeys,
  revokeKey,
  type InsertedPrincipal,
  type KeyRow,
  type NewKey,
} from '../../store/people/keys.js';
import type { Tx } from '../../db/index.js';
import { toStorableTime } from '../../store/instant.js';
import { actorOf, deriveId, type Caller } from '../caller.js';
import { transact } from '../changes.js';
import { makeKeptResult } from '../kept-result.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import { invalid, notFound, refusal, type Refusal } from '../refusal.js';

export type KeyMade =
  /** `body` holds the key itself, which is kept nowhere. */
  | { readonly kind: 'key'; readonly body: CreatedKeyJson }
  /** An earlier attempt of this request made the key, and somebody has revoked it since: no other is made. */
  | { readonly kind: 'revoked'; readonly keyId: string };

/** Makes an API key for a principal. */
export async function createApiKey(
  caller: Caller,
  body: z.output<typeof api.keyBody>,
): Promise<KeyMade | Refusal> {
  const denied = refuseCaller(caller, 'createKey');
  if (denied !== null) return denied;
  const { deps, principal } = caller;
  const expiresAt = body.expiresAt === undefined ? null : toStorableTime(body.expiresAt);
  if (expiresAt !== null && Date.parse(expiresAt) <= deps.now().getTime()) {
    return invalid('`expiresAt` is in the past', [
      { pointer: '/expiresAt', message: 'must be in the future' },
    ]);
  }
  const forHumans = (body.permissions ?? []).findIndex((permission) => humanPermissions.includes(permission));
  if (body.kind !== 'human' && forHumans !== -1) {
    const name = body.permissions?.[forHumans] ?? '';
    return invalid(`\`${name}\` is for humans: a key of kind ${body.kind} does not hold it`, [
      { pointer: `/permissions/${forHumans}`, message: 'is for keys of kind human: leave it out' },
    ]);
  }
  const key = newApiKey();
  const row: Omit<NewKey, 'keyId'> = {
    hash: hashApiKey(deps.pepper, key),
    principalId: body.id,
    roles: [...new Set(body.roles ?? [])],
    permissions: [...new Set(body.permissions ?? [])],
    expiresAt,
    createdBy: principal.id,
  };
  const made = await transact(caller, (tx) => insertOnce(caller, tx, row, body.kind));
  if (made.status === 'revoked') return { kind: 'revoked', keyId: made.keyId };
  if (made.status === 'kind_conflict') {
    return refusal(
      'KIND_CONFLICT',
      `\`${body.id}\` is a principal of kind ${made.kind}: its keys are of that kind`,
      { kind: made.kind },
    );
  }
  if (made.status === 'spelling_conflict') {
    return refusal(
      'KIND_CONFLICT',
      `\`${made.known}\` is known here, which is the same name as \`${body.id}\` in another spelling: make the key for \`${made.known}\``,
      { known: made.known },
    );
  }
  const { roles, permissions } = row;
  return {
    kind: 'key',
    body: { keyId: made.keyId, key, id: body.id, kind: body.kind, roles, permissions, expiresAt },
  };
}

type InsertedKey =
  | { readonly status: 'made'; readonly keyId: string }
  | { readonly status: 'revoked'; readonly keyId: string }
  | Exclude<InsertedPrincipal, { status: 'ok' }>;

const madeKey = z.object({ keyId: z.string() });

/** Inserts the key and records it in one transaction: no key is without a record. */
async function insertOnce(
  caller: Caller,
  tx: Tx,
  row: Omit<NewKey, 'keyId'>,
  kind: z.output<typeof api.keyBody>['kind'],
): Promise<InsertedKey> {
  const kept = makeKeptResult(caller, madeKey);
  const earlier = await kept.earlier(tx);
  // The earlier attempt died before it could show its key: that key is replaced by a new one, which can be shown.
  if (earlier !== null && !(await revokeNow(caller, tx, earlier.keyId)))
    return { status: 'revoked', keyId: earlier.keyId };
  const principal = await insertPrincipal(tx, { id: row.principalId, kind });
  if (principal.status !== 'ok') return principal;
  const keyId = earlier === null ? deriveId(caller, 'key') : newId('key');
  await insertKey(tx, { ...row, keyId });
  const { principalId, roles, permissions, expiresAt } = row;
  await recordKey(caller, tx, 'key.created', {
    keyId,
    principal: principalId,
    kind,
    roles,
    permissions,
    ...(expiresAt === null ? {} : { expiresAt }),
  });
  await kept.keep(tx, { keyId });
  return { status: 'made', keyId };
}

/** False: the key is revoked already. */
async function revokeNow(caller: Caller, tx: Tx, keyId: string): Promise<boolean> {
  const principal = await revokeKey(tx, keyId);
  if (principal === null) return false;
  await recordKey(caller, tx, 'key.revoked', { keyId, principal });
  return true;
}

async function recordKey(
  caller: Caller,
  tx: Tx,
  type: 'key.created' | 'key.revoked',
  data: JsonObject,
): Promise<void> {
  const time = caller.deps.now().toISOString();
  const key = `${caller.requestId}:${type}`;
  await caller.deps.chain.appendIn(tx, [
    { key, type, time, actor: actorOf(caller), permission: 'key.manage', traceId: caller.requestId, data },
  ]);
}

/** All keys, revoked ones too, but never the secrets themselves. */
export async function listApiKeys(
  caller: Caller,
  { limit, cursor }: z.output<typeof api.pageQuery>,
): Promise<Page<KeyJson> | Refusal> {
  const refused = refuseCaller(caller, 'listKeys');
  if (refused !== null) return refused;
  const after = cursor === undefined ? [''] : decodeCursor(cursor, 1);
  if (after === null || typeof after[0] !== 'string') return badCursor();
  const rows = await listKeys(caller.deps.pool, limit + 1, after[0]);
  const { items, nextCursor } = toPage(rows, limit, (row) => [row.keyId]);
  return { kind: 'page', data: items.map(keyJson), nextCursor };
}

function keyJson({
  keyId,
  principalId,
  kind,
  roles,
  permissions,
  expiresAt,
  createdAt,
  createdBy,
  revokedAt,
}: KeyRow): KeyJson {
  return { keyId, id: principalId, kind, roles, permissions, expiresAt, createdAt, createdBy, revokedAt };
}

/** The next request with the key is refused. Null: the key is revoked. */
export async function revokeApiKey(caller: Caller, keyId: string): Promise<Refusal | null> {
  const refused = refuseCaller(caller, 'revokeKey');
  if (refused !== null) return refused;
  const { deps } = caller;
  if ((await getKey(deps.pool, keyId)) === null) return notFound('key', keyId);
  await transact(caller, (tx) => revokeNow(caller, tx, keyId));
  return null;
}
