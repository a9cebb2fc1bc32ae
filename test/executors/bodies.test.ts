import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildCall, describeCall, previewCalls, runCall } from '../../src/executors/index.js';
import type { RestCall } from '../../src/executors/rest/types.js';
import type { Executor, Template } from '../../src/engine/plan.js';
import type { Built, ExecutorResult } from '../../src/executors/types.js';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import type { Asking } from '../../src/engine/state.js';
import { transition } from '../engine/build.js';
import { contextWith, makeWorld, restCall, type World } from './world.js';

// A body is sent in the writing of its content type, whoever says that: the target reads what the approver has read.

let world: World;
before(async () => {
  world = await makeWorld();
});
after(() => world.close());

const form = 'application/x-www-form-urlencoded';

const value = (name: string, optional = false): Template => ({
  kind: 'path',
  scope: 'arguments',
  segments: [name],
  optional,
  text: `$.arguments.${name}`,
});
const executor = (body: Template, contentType: Template | null): Executor => ({
  kind: 'rest',
  connection: 'rest',
  method: 'POST',
  path: { kind: 'text', parts: ['/echo'] },
  query: [],
  headers: contentType === null ? [] : [{ key: 'Content-Type', value: contentType }],
  body,
  idempotencyKey: false,
});
const literal = (of: Json): Template => ({ kind: 'literal', value: of });
const build = (body: Template, contentType: string, args: JsonObject): Built<RestCall> =>
  buildCall(
    executor(body, literal(contentType)),
    { arguments: args, context: {}, input: {} },
    'transition',
  ) as Built<RestCall>;
const call = (body: Json): RestCall => restCall({ body });
function send(of: RestCall, contentType?: string): Promise<ExecutorResult> {
  const { rest } = world.connections;
  assert.ok(rest.kind === 'rest');
  const headers = contentType === undefined ? {} : { 'content-type': contentType };
  return runCall(of, contextWith({ ...rest, headers: { ...rest.headers, ...headers } }));
}
async function arrived(of: RestCall, contentType?: string): Promise<string> {
  const result = await send(of, contentType);
  assert.ok(result.status === 'succeeded', JSON.stringify(result));
  const { body } = world.seen.at(-1) ?? assert.fail('nothing arrived');
  return body;
}

const refund: Template = {
  kind: 'object',
  entries: [
    { key: 'charge', value: value('charge') },
    { key: 'amount', value: value('amount') },
    { key: 'metadata[note]', value: value('note', true) },
  ],
};

describe('an object under the content type of a form', () => {
  test('is sent as a form, every value in its own name, and shown as what it is', async () => {
    const built = build(refund, `${form}; charset=utf-8`, {
      charge: 'ch_1&amount=60000',
      amount: 12.5,
      note: 'für Ann',
    });
    assert.ok(built.status === 'built' && built.call.kind === 'rest');
    assert.deepEqual(describeCall(built.call)['body'], {
      charge: 'ch_1&amount=60000',
      amount: 12.5,
      'metadata[note]': 'für Ann',
    });
    assert.deepEqual(
      [...new URLSearchParams(await arrived(built.call))],
      [
        ['charge', 'ch_1&amount=60000'],
        ['amount', '12.5'],
        ['metadata[note]', 'für Ann'],
      ],
    );
  });

  test('and so where its connection says that it is one', async () => {
    assert.equal(
      await arrived(call({ amount: 1, all: false, to: 'a b' }), form),
      'amount=1&all=false&to=a+b',
    );
  });

  test('leaves out what is missing and may be', async () => {
    const built = build(refund, form, { charge: 'ch_1', amount: 1 });
    assert.ok(built.status === 'built' && built.call.kind === 'rest');
    assert.equal(await arrived(built.call), 'charge=ch_1&amount=1');
  });

  test('that holds a list or an object is no call: nobody is asked, and nothing is sent', async () => {
    for (const amount of [[1], { value: 1 }]) {
      const built = build(refund, form, { charge: 'ch_1', amount });
      assert.ok(built.status === 'unresolved');
      assert.match(built.message, /^`amount` in the call is an? (list|object), and a form has plain values/);
      const before = world.seen.length;
      const result = await send(call({ charge: 'ch_1', amount }), form);
      assert.ok(result.status === 'failed' && result.errorClass === 'permanent');
      assert.match(result.message, /`amount` in the body is an? (list|object), .*; nothing was sent$/);
      assert.equal(world.seen.length, before);
    }
  });

  test('of its connection: nobody is asked to approve what does not fit it', () => {
    const asking = (doc: Json) => ({ arguments: { doc }, context: {}, input: {} }) as unknown as Asking;
    const step = transition('go', 'b', { tier: 'reversible', executor: executor(value('doc'), null) });
    const sentWith = (name: string) => (name === 'rest' ? [['content-type', form] as const] : []);
    const refused = (doc: Json, of = sentWith): string | undefined =>
      previewCalls(step, asking(doc), of).refused?.message;
    assert.match(refused({ a: [1] }) ?? '', /`a` in the call is a list, and a form has plain values/);
    assert.match(refused(['a']) ?? '', /is a list, which .* cannot carry/);
    assert.equal(refused({ a: 1 }), undefined);
    assert.equal(
      refused({ a: [1] }, () => []),
      undefined,
    );
  });

  test('that is a value of the call is one too, or no call', async () => {
    const whole = value('form');
    const built = build(whole, form, { form: { a: 1 } });
    assert.ok(built.status === 'built' && built.call.kind === 'rest');
    assert.equal(await arrived(built.call), 'a=1');
    assert.equal(build(whole, form, { form: ['a'] }).status, 'unresolved');
    assert.equal(build(whole, form, { form: 'a=1' }).status, 'built');
  });
});

describe('under a content type of another kind', () => {
  for (const type of [
    'multipart/form-data; boundary=x',
    'text/xml',
    'text/plain',
    'application/octet-stream',
    '',
  ])
    test(`\`${type}\`: an object or a list of a flow that was published before is sent as JSON, as it was`, async () => {
      for (const body of [{ a: 1 }, [1]]) {
        const scopes = { arguments: {}, context: {}, input: {} };
        const of = executor(literal(body), literal(type));
        const built = buildCall(of, scopes, 'transition', { action: { tier: 'reversible' } });
        assert.ok(built.status === 'built' && built.call.kind === 'rest', JSON.stringify(built));
        assert.equal(await arrived(built.call as RestCall), JSON.stringify(body));
        assert.equal(await arrived(call(body), type), JSON.stringify(body));
      }
    });

  test('a text is sent as it is, and another plain value as its text', async () => {
    assert.equal(await arrived(call('<a/>'), 'text/xml'), '<a/>');
    assert.equal(await arrived(call('a=1&b=2'), form), 'a=1&b=2');
    assert.equal(await arrived(call(5), 'text/plain'), '5');
    assert.equal(await arrived(call(null), 'text/plain'), '');
  });
});

test('JSON is sent under no content type, and under every one that says JSON', async () => {
  assert.equal(await arrived(call({ a: 'x' })), '{"a":"x"}');
  assert.equal(await arrived(call('x')), '"x"');
  for (const type of ['application/json', 'application/merge-patch+json', 'application/x-amz-json-1.1'])
    assert.equal(await arrived(call({ a: 'x' }), type), '{"a":"x"}');
});

describe('under a content type of lines of JSON', () => {
  const bulk: Template = {
    kind: 'array',
    items: [
      literal({ index: { _index: 'a' } }),
      { kind: 'object', entries: [{ key: 'title', value: value('q') }] },
    ],
  };
  for (const type of [
    ...['application/x-ndjson', 'application/jsonl; charset=utf-8', 'Application/Json-Lines'],
    'application/vnd.elasticsearch+x-ndjson;compatible-with=8',
  ])
    test(`\`${type}\`: each value of a list is a line, whatever is in it`, async () => {
      const built = build(bulk, type, { q: 'two\nlines"}' });
      assert.ok(built.status === 'built', JSON.stringify(built));
      const lines = '{"index":{"_index":"a"}}\n{"title":"two\\nlines\\"}"}\n';
      assert.equal(await arrived(built.call), lines);
      assert.equal(await arrived(call([{ a: 1 }, ['b'], 'c', null]), type), '{"a":1}\n["b"]\n"c"\nnull\n');
      assert.equal(await arrived(call([]), type), '');
    });

  test('what is no list is one line, and a text is as its author writes it', async () => {
    assert.equal(await arrived(call({ a: [1] }), 'application/x-ndjson'), '{"a":[1]}\n');
    assert.equal(await arrived(call('{"a":1}\n{"b":2}\n'), 'application/x-ndjson'), '{"a":1}\n{"b":2}\n');
  });
});
