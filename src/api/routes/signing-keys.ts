import { z } from 'zod';
import type { SigningKeyJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import {
  readSigningKeys,
  retireSigningKey,
  rotateSigningKey,
  type SigningKeysRead,
} from '../../service/principals/signing-keys.js';
import type { Refusal } from '../../service/refusal.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../http/call.js';

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
    handle: async (call) => keysReply(200, await readSigningKeys(callerOf(call))),
  }),
  route({
    id: 'rotateSigningKey',
    method: 'POST',
    path: '/v1/signing-keys',
    tag: 'Principals',
    summary: 'Sign with a new key from the next message on, and retire all others after the window',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.retireBody),
    answers: { 201: { description: 'all keys, the new one first', schema: answers.signingKeys } },
    errors: ['HUMANS_ONLY'],
    handle: async (call, { body }) => keysReply(201, await rotateSigningKey(callerOf(call), body.window)),
  }),
  route({
    id: 'retireSigningKey',
    method: 'POST',
    path: '/v1/signing-keys/{keyId}/retire',
    tag: 'Principals',
    summary: 'Retire one key after the window: what comes later with it is refused',
    params: z.object({ keyId: api.shortText }),
    query: api.noQuery,
    body: jsonBody(api.retireBody),
    answers: { 200: { description: 'the key', schema: answers.signingKey } },
    errors: ['HUMANS_ONLY', 'LAST_SIGNING_KEY'],
    handle: async (call, { params, body }) => {
      const retired = await retireSigningKey(callerOf(call), params.keyId, body.window);
      return retired.kind === 'refusal' ? retired : answer(200, retired.body);
    },
  }),
];

function keysReply<Status extends 200 | 201>(
  status: Status,
  found: SigningKeysRead | Refusal,
): Answer<Status, { readonly data: readonly SigningKeyJson[] }> | Refusal {
  return found.kind === 'refusal' ? found : answer(status, { data: found.keys });
}
