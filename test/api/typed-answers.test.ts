import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { answer, route } from '../../src/api/http/call.js';
import { json, jsonObject, noQuery } from '../../src/model/contract/api.js';
import type { AnswerOf } from '../../src/model/contract/answer-types.js';
import type { Json, JsonObject } from '../../src/model/values/json.js';

// The compiler makes this test: an expected error that does not occur does not compile. So `npm run types` fails then, since this
// file runs without its types.

const fields = {
  id: 'read',
  method: 'GET',
  path: '/v1/read',
  tag: 'Runs',
  summary: '',
  params: z.object({}),
  query: noQuery,
  answers: {
    200: { description: 'it', schema: z.strictObject({ name: z.string(), size: z.int().optional() }) },
    204: { description: 'nothing' },
  },
} as const;

test('a handler answers only what its route describes', () => {
  const made = [
    route({ ...fields, handle: () => Promise.resolve(answer(200, { name: 'a' })) }),
    route({ ...fields, handle: () => Promise.resolve(answer(204)) }),
    // @ts-expect-error: a status that the route does not describe
    route({ ...fields, handle: () => Promise.resolve(answer(201, { name: 'a' })) }),
    // @ts-expect-error: a body where the route describes none
    route({ ...fields, handle: () => Promise.resolve(answer(204, { name: 'a' })) }),
    // @ts-expect-error: no body where the route describes a body
    route({ ...fields, handle: () => Promise.resolve(answer(200)) }),
    // @ts-expect-error: a value of another type
    route({ ...fields, handle: () => Promise.resolve(answer(200, { name: 1 })) }),
    // @ts-expect-error: without a field that it always has
    route({ ...fields, handle: () => Promise.resolve(answer(200, { size: 1 })) }),
  ];
  assert.equal(made.length, 7);
});

test('the type of an answer keeps what its schema says', () => {
  const schema = z.strictObject({
    any: json,
    object: jsonObject,
    list: z.array(z.looseObject({ id: z.string() })),
  });
  const told: AnswerOf<typeof schema> = { any: [1], object: {}, list: [{ id: 'a', more: [null] }] };
  const { any, object }: { readonly any: Json; readonly object: JsonObject } = told;
  // @ts-expect-error: what is not JSON
  const wrong: AnswerOf<typeof schema> = { any, object, list: [{ id: 'a', more: () => 1 }] };
  assert.ok(schema.safeParse(told).success);
  assert.equal(wrong.list.length, 1);
});
