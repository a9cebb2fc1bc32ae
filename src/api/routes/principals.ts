import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { humanPermissions } from '../../model/principal.js';
import type { JsonObject } from '../../model/json.js';
import { newId } from '../../model/ids.js';
import { hashApiKey, newApiKey } from '../../auth/index.js';
import { decodeCursor, page } from '../../store/cursor.js';
import {
  getKey,
  insertKey,
  insertPrincipal,
  listKeys,
  revokeKey,
  type InsertedPrincipal,
  type KeyRow,
  type NewKey,
} from '../../store/keys.js';
import type { Tx } from '../../db/index.js';
import { storable } from '../../store/instant.js';
import {
  actorOf,
  answer,
  effectId,
  jsonBody,
  principalOf,
  route,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import { keptEffect } from '../http/effect.js';
import { badCursor, invalid, notFound, problem } from '../contract/problem.js';

export const principalRoutes: readonly Route[] = [
  route({
    id: 'whoami',
    delegated: true,
    method: 'GET',
    path: '/v1/whoami',
    tag: 'Principals',
    summary: 'Who the credential says that you are',
    params: z.object({}),
    query: api.noQuery,
    answers: { 200: { description: 'the principal', schema: answers.whoami } },
    handle: (call) => {
      const { id, kind, roles, permissions, actedBy } = principalOf(call);
      const acting = actedBy === undefined ? {} : { actedBy };
      return Promise.resolve(answer(200, { id, kind, roles, permissions, ...acting }));
    },
  }),
  route({
    id: 'createKey',
    method: 'POST',
    path: '/v1/keys',
    tag: 'Principals',
    summary: 'Make a key for a principal; the key itself is shown once',
    permission: 'key.manage',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.keyBody),
    answers: { 201: { description: 'the key', schema: answers.createdKey } },
    errors: ['HUMANS_ONLY', 'KIND_CONFLICT'],
    humansOnly: true,
    handle: (call, { body }) => create(call, body),
  }),
  route({
    id: 'listKeys',
    method: 'GET',
    path: '/v1/keys',
    tag: 'Principals',
    summary: 'Keys, revoked ones too; never the keys themselves',
    permission: 'key.manage',
    params: z.object({}),
    query: api.pageQuery,
    answers: { 200: { description: 'a page of keys', schema: answers.pageOf(answers.key) } },
    handle: (call, { query }) => list(call, query),
  }),
  route({
    id: 'revokeKey',
    method: 'DELETE',
    path: '/v1/keys/{keyId}',
    tag: 'Principals',
    summary: 'Revoke a key: the next request with it is 401',
    permission: 'key.manage',
    params: z.object({ keyId: api.shortText }),
    query: api.noQuery,
    answers: { 204: { description: 'revoked' } },
    errors: ['HUMANS_ONLY'],
    humansOnly: true,
    handle: (call, { params }) => revoke(call, params.keyId),
  }),
];

async function create(call: Call, body: z.output<typeof api.keyBody>): Promise<Reply> {
  const expiresAt = body.expiresAt === undefined ? null : storable(body.expiresAt);
  if (expiresAt !== null && Date.parse(expiresAt) <= call.deps.now().getTime()) {
    return invalid('`expiresAt` is in the past', [
      { pointer: '/expiresAt', message: 'must be in the future' },
    ]);
  }
  const forHumans = (body.permissions ?? []).findIndex((one) => humanPermissions.includes(one));
  if (body.kind !== 'human' && forHumans !== -1) {
    const name = body.permissions?.[forHumans] ?? '';
    return invalid(`\`${name}\` is for humans: a key of kind ${body.kind} does not hold it`, [
      { pointer: `/permissions/${forHumans}`, message: 'is for keys of kind human: leave it out' },
    ]);
  }
  const key = newApiKey();
  const row: Omit<NewKey, 'keyId'> = {
    hash: hashApiKey(call.deps.pepper, key),
    principalId: body.id,
    roles: [...new Set(body.roles ?? [])],
    permissions: [...new Set(body.permissions ?? [])],
    expiresAt,
    createdBy: principalOf(call).id,
  };
  const made = await call.deps.transaction((tx) => insert(call, tx, row, body.kind));
  if (made.status === 'revoked') {
    const message = `was used for \`${made.keyId}\`, which has been revoked since: take a new one`;
    return invalid(`the header Idempotency-Key ${message}`, [
      { pointer: '/headers/idempotency-key', message },
    ]);
  }
  if (made.status === 'kind_conflict') {
    return problem(
      'KIND_CONFLICT',
      `\`${body.id}\` is a principal of kind ${made.kind}: its keys are of that kind`,
      { kind: made.kind },
    );
  }
  if (made.status === 'spelling_conflict') {
    return problem(
      'KIND_CONFLICT',
      `\`${made.known}\` is known here, which is the same name as \`${body.id}\` in another spelling: make the key for \`${made.known}\``,
      { known: made.known },
    );
  }
  const { roles, permissions } = row;
  return answer(201, { keyId: made.keyId, key, id: body.id, kind: body.kind, roles, permissions, expiresAt });
}

type Made =
  | { readonly status: 'made'; readonly keyId: string }
  /** An earlier attempt made this one, and somebody has revoked it: there is to be none. */
  | { readonly status: 'revoked'; readonly keyId: string }
  | Exclude<InsertedPrincipal, { status: 'ok' }>;

const madeEffect = z.object({ keyId: z.string() });

/** Key and record together: there is no key that the record does not know. */
async function insert(
  call: Call,
  tx: Tx,
  row: Omit<NewKey, 'keyId'>,
  kind: z.output<typeof api.keyBody>['kind'],
): Promise<Made> {
  const effect = keptEffect(call, madeEffect);
  const earlier = await effect.earlier(tx);
  // An attempt that died before it could show its key: it is replaced by one that can be shown.
  if (earlier !== null && !(await revokeNow(call, tx, earlier.keyId)))
    return { status: 'revoked', keyId: earlier.keyId };
  const principal = await insertPrincipal(tx, { id: row.principalId, kind });
  if (principal.status !== 'ok') return principal;
  const keyId = earlier === null ? effectId(call, 'key') : newId('key');
  await insertKey(tx, { ...row, keyId });
  const { principalId, roles, permissions, expiresAt } = row;
  await note(call, tx, 'key.created', {
    keyId,
    principal: principalId,
    kind,
    roles,
    permissions,
    ...(expiresAt === null ? {} : { expiresAt }),
  });
  await effect.keep(tx, { keyId });
  return { status: 'made', keyId };
}

/** False: it is revoked already. */
async function revokeNow(call: Call, tx: Tx, keyId: string): Promise<boolean> {
  const principal = await revokeKey(tx, keyId);
  if (principal === null) return false;
  await note(call, tx, 'key.revoked', { keyId, principal });
  return true;
}

async function note(
  call: Call,
  tx: Tx,
  type: 'key.created' | 'key.revoked',
  data: JsonObject,
): Promise<void> {
  const time = call.deps.now().toISOString();
  const key = `${call.requestId}:${type}`;
  await call.deps.chain.appendIn(tx, [
    { key, type, time, actor: actorOf(call), permission: 'key.manage', traceId: call.requestId, data },
  ]);
}

async function list(call: Call, { limit, cursor }: z.output<typeof api.pageQuery>): Promise<Reply> {
  const after = cursor === undefined ? [''] : decodeCursor(cursor, 1);
  if (after === null || typeof after[0] !== 'string') return badCursor();
  const rows = await listKeys(call.deps.pool, limit + 1, after[0]);
  const { items, nextCursor } = page(rows, limit, (row) => [row.keyId]);
  return answer(200, { data: items.map(keyObject), nextCursor });
}

function keyObject({
  keyId,
  principalId,
  kind,
  roles,
  permissions,
  expiresAt,
  createdAt,
  createdBy,
  revokedAt,
}: KeyRow): JsonObject {
  return { keyId, id: principalId, kind, roles, permissions, expiresAt, createdAt, createdBy, revokedAt };
}

async function revoke(call: Call, keyId: string): Promise<Reply> {
  if ((await getKey(call.deps.pool, keyId)) === null) return notFound('key', keyId);
  await call.deps.transaction((tx) => revokeNow(call, tx, keyId));
  return answer(204);
}
