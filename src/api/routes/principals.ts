import { z } from 'zod';
import type { CreatedKeyJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { createApiKey, listApiKeys, revokeApiKey, type KeyMade } from '../../service/principals/keys.js';
import type { Refusal } from '../../service/refusal.js';
import { answer, callerOf, jsonBody, principalOf, route, type Answer, type Route } from '../http/call.js';
import { invalid, type Problem } from '../contract/problem.js';

export const principalRoutes: readonly Route[] = [
  route({
    id: 'whoami',
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
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.keyBody),
    answers: { 201: { description: 'the key', schema: answers.createdKey } },
    errors: ['HUMANS_ONLY', 'KIND_CONFLICT'],
    handle: async (call, { body }) => keyReply(await createApiKey(callerOf(call), body)),
  }),
  route({
    id: 'listKeys',
    method: 'GET',
    path: '/v1/keys',
    tag: 'Principals',
    summary: 'Keys, revoked ones too; never the keys themselves',
    params: z.object({}),
    query: api.pageQuery,
    answers: { 200: { description: 'a page of keys', schema: answers.pageOf(answers.key) } },
    handle: async (call, { query }) => {
      const page = await listApiKeys(callerOf(call), query);
      return page.kind === 'refusal' ? page : answer(200, { data: page.data, nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'revokeKey',
    method: 'DELETE',
    path: '/v1/keys/{keyId}',
    tag: 'Principals',
    summary: 'Revoke a key: the next request with it is 401',
    params: z.object({ keyId: api.shortText }),
    query: api.noQuery,
    answers: { 204: { description: 'revoked' } },
    errors: ['HUMANS_ONLY'],
    handle: async (call, { params }) => (await revokeApiKey(callerOf(call), params.keyId)) ?? answer(204),
  }),
];

function keyReply(made: KeyMade | Refusal): Answer<201, CreatedKeyJson> | Problem | Refusal {
  switch (made.kind) {
    case 'refusal':
      return made;
    case 'key':
      return answer(201, made.body);
    case 'revoked': {
      const message = `was used for \`${made.keyId}\`, which has been revoked since: take a new one`;
      return invalid(`the header Idempotency-Key ${message}`, [
        { pointer: '/headers/idempotency-key', message },
      ]);
    }
  }
}
