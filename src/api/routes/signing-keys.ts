import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import type { JsonObject } from '../../model/json.js';
import type { Tx } from '../../db/index.js';
import {
  getSigningKey,
  listSigningKeys,
  lockSigningKeys,
  putSigningKey,
  retireSigningKeys,
  type SigningKeyRow,
} from '../../store/signing-keys.js';
import { actorOf, answer, jsonBody, route, type Call, type Reply, type Route } from '../http/call.js';
import { keptEffect } from '../http/effect.js';
import { notFound, problem } from '../contract/problem.js';

// The keys with which the service signs what enters a run. Changing them is an operator's act, on record like every other.

type Window = z.output<typeof api.retireBody>['window'];

export const signingKeyRoutes: readonly Route[] = [
  route({
    id: 'listSigningKeys',
    method: 'GET',
    path: '/v1/signing-keys',
    tag: 'Principals',
    summary: 'Public halves of the keys that messages to runs were ever signed with, the newest first',
    params: z.object({}),
    query: api.noQuery,
    answers: { 200: { description: 'all keys, retired ones too', schema: answers.signingKeys } },
    handle: async ({ deps }) =>
      answer(200, { data: (await listSigningKeys(deps.pool)).map(signingKeyObject) }),
  }),
  route({
    id: 'rotateSigningKey',
    method: 'POST',
    path: '/v1/signing-keys',
    tag: 'Principals',
    summary: 'Sign with a new key from the next message on, and retire all others after the window',
    permission: 'key.manage',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.retireBody),
    answers: { 201: { description: 'all keys, the new one first', schema: answers.signingKeys } },
    errors: ['HUMANS_ONLY'],
    humansOnly: true,
    handle: (call, { body }) => rotate(call, body.window),
  }),
  route({
    id: 'retireSigningKey',
    method: 'POST',
    path: '/v1/signing-keys/{keyId}/retire',
    tag: 'Principals',
    summary: 'Retire one key after the window: what comes later with it is refused',
    permission: 'key.manage',
    params: z.object({ keyId: api.shortText }),
    query: api.noQuery,
    body: jsonBody(api.retireBody),
    answers: { 200: { description: 'the key', schema: answers.signingKey } },
    errors: ['HUMANS_ONLY', 'LAST_SIGNING_KEY'],
    humansOnly: true,
    handle: (call, { params, body }) => retire(call, params.keyId, body.window),
  }),
];

const rotatedEffect = z.object({ keyId: z.string() });

async function rotate(call: Call, window: Window): Promise<Reply> {
  const effect = keptEffect(call, rotatedEffect);
  const keys = await call.deps.transaction(async (tx) => {
    const held = await lockSigningKeys(tx);
    if ((await effect.earlier(tx)) !== null) return listSigningKeys(tx);
    const made = call.deps.makeSigningKey();
    await putSigningKey(tx, made);
    await note(call, tx, 'signing_key.made', { keyId: made.keyId, publicKey: made.publicKey });
    await retireSigningKeys(tx, held, window / 1_000);
    for (const keyId of held) await noteRetired(call, tx, keyId);
    await effect.keep(tx, { keyId: made.keyId });
    return listSigningKeys(tx);
  });
  return answer(201, { data: keys.map(signingKeyObject) });
}

async function retire(call: Call, keyId: string, window: Window): Promise<Reply> {
  return call.deps.transaction(async (tx) => {
    const held = await lockSigningKeys(tx);
    const before = await getSigningKey(tx, keyId);
    if (before === null) return notFound('signing key', keyId);
    if (held.every((one) => one === keyId))
      return problem(
        'LAST_SIGNING_KEY',
        `\`${keyId}\` is the only key that is not retired: \`POST /v1/signing-keys\` makes another one and retires it`,
      );
    await retireSigningKeys(tx, [keyId], window / 1_000);
    const after = await getSigningKey(tx, keyId);
    if (after === null) throw new Error(`the signing key \`${keyId}\` is gone`);
    if (after.retiredAt !== before.retiredAt) await noteRetired(call, tx, keyId);
    return answer(200, signingKeyObject(after));
  });
}

async function noteRetired(call: Call, tx: Tx, keyId: string): Promise<void> {
  const row = await getSigningKey(tx, keyId);
  await note(call, tx, 'signing_key.retired', { keyId, takenUntil: row?.retiredAt ?? '' });
}

async function note(
  call: Call,
  tx: Tx,
  type: 'signing_key.made' | 'signing_key.retired',
  data: JsonObject & { readonly keyId: string },
): Promise<void> {
  const time = call.deps.now().toISOString();
  const key = `${call.requestId}:${type}:${data.keyId}`;
  await call.deps.chain.appendIn(tx, [
    { key, type, time, actor: actorOf(call), permission: 'key.manage', traceId: call.requestId, data },
  ]);
}

function signingKeyObject({ keyId, publicKey, createdAt, retiredAt, isRetired }: SigningKeyRow): JsonObject {
  const retiring = retiredAt === null ? 'active' : 'retiring';
  const status = isRetired ? 'retired' : retiring;
  return { keyId, algorithm: 'ed25519', publicKey, status, createdAt, retiredAt };
}
