import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFlowText, loadFolder } from '../../../src/policy/index.js';
import { draw } from '../../../testing/samples.js';
import { catalog, flow, guard, many, shapes } from './large-flows.js';

// The largest flows that may be sent are checked in a time that is proportional to their size: `growth.campaign.ts` counts the work.

for (const [title, { count, text }] of draw(Object.entries(shapes), 2))
  test(`a flow with ${count} ${title} is checked`, () => {
    const large = text(count);
    assert.ok(large.length < 1_048_576, String(large.length));
    const checked = checkFlowText(large, { catalog, media: 'json' });
    assert.ok(['valid', 'invalid'].includes(checked.status));
  });

test('a flow whose transitions carry the schemas of their tool a thousand times is too large', async () => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-large-'));
  mkdirSync(join(root, 'tools'));
  const properties = many(150, (index) => [
    `property_${index}`,
    { type: 'string', description: 'x'.repeat(40) },
  ]);
  const tool = {
    ...{ name: 'desk.send', tier: 'reversible', executor: { kind: 'noop' } },
    inputSchema: { type: 'object', properties },
  };
  writeFileSync(join(root, 'tools/desk.json'), JSON.stringify({ tools: [tool] }));
  const loaded = await loadFolder(root);
  assert.ok(loaded.status === 'loaded');
  const uses = (count: number): string =>
    flow({
      open: { transitions: many(count, (index) => [`t${index}`, { target: 'done', tool: tool.name }]) },
    });
  const check = (count: number) => checkFlowText(uses(count), { catalog: loaded.catalog, media: 'json' });
  assert.equal(check(100).status, 'valid');
  const refused = check(2_000);
  assert.ok(refused.status === 'invalid');
  assert.deepEqual(
    refused.errors.map(({ code }) => code),
    ['TOO_LARGE'],
  );
  assert.match(refused.errors[0]?.message ?? '', /the schemas of its tool/);
  rmSync(root, { recursive: true });
});

test("a transition whose schema and whose tool's take too long to compile together says so", async () => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-large-'));
  mkdirSync(join(root, 'tools'));
  const costing = (count: number, word: string): object => ({
    type: 'object',
    properties: many(count, (index) => [
      `${word}${index}`,
      { type: 'string', pattern: `^(?:${'abcdefgh|'.repeat(300)}${word}${index})$` },
    ]),
  });
  const using = async (count: number) => {
    const noop = { name: 'desk.send', tier: 'reversible', executor: { kind: 'noop' } };
    const tools = [{ ...noop, inputSchema: costing(count, 'tool') }];
    writeFileSync(join(root, 'tools/desk.json'), JSON.stringify({ tools }));
    const loaded = await loadFolder(root);
    if (loaded.status !== 'loaded') return 'the tool alone';
    const send = { target: 'done', tool: 'desk.send', inputSchema: costing(count, 'own') };
    const text = flow({ open: { transitions: { send } } });
    const checked = checkFlowText(text, { catalog: loaded.catalog, media: 'json' });
    return checked.status === 'valid' ? 'valid' : checked.errors.map(({ message }) => message).join();
  };
  const found: string[] = [];
  for (let count = 1; count <= 64; count *= 2) found.push(await using(count));
  assert.equal(found[0], 'valid');
  assert.match(
    found.find((status) => status !== 'valid') ?? '',
    /does not go with that of its tool `desk\.send`/,
  );
  rmSync(root, { recursive: true });
});

/** Where `TOO_LARGE` is found. */
function tooLarge(states: Parameters<typeof flow>[0]): readonly string[] {
  const { errors } = { errors: [], ...checkFlowText(flow(states), { catalog, media: 'json' }) };
  return errors
    .filter(({ code }: { code: string }) => code === 'TOO_LARGE')
    .map(({ path }: { path: string }) => path);
}

test('a step with more conditions than a step may have does not load, and is named', () => {
  const asks = (count: number): object[] => Array.from({ length: count }, () => guard('$.context.x == 1'));
  const go = (fields: object): Parameters<typeof flow>[0] => ({
    open: { transitions: { go: { target: 'done', ...fields } } },
  });
  const at = ['/workflows/f/states/open/transitions/go'];
  assert.deepEqual(tooLarge(go({ guards: asks(256) })), []);
  assert.deepEqual(tooLarge(go({ guards: asks(257) })), at);
  assert.deepEqual(tooLarge(go({ guards: [{ kind: 'allOf', guards: asks(256) }] })), at);
  assert.deepEqual(
    tooLarge(go({ guards: asks(200), branches: asks(57).map((when) => ({ when, target: 'done' })) })),
    at,
  );
  const wide = {
    transitions: many(1_001, (index) => [
      `t${index}`,
      { target: 'done', actor: 'deterministic', guards: asks(1) },
    ]),
  };
  assert.deepEqual(tooLarge({ open: wide }), ['/workflows/f/states/open']);
});

test('a guard that requires more kinds of evidence than a step may ask conditions does not load, and is named', () => {
  const requires = (count: number): object[] => [
    { kind: 'evidence', requires: [{ kind: 'x', count: 100_000 }, ...Array<string>(count - 1).fill('x')] },
  ];
  const go = (fields: object): Parameters<typeof flow>[0] => ({
    open: { transitions: { go: { target: 'done', evidence: 'x', ...fields } } },
  });
  const at = ['/workflows/f/states/open/transitions/go'];
  assert.deepEqual(tooLarge(go({ guards: requires(256) })), []);
  assert.deepEqual(tooLarge(go({ guards: requires(257) })), at);
  assert.deepEqual(tooLarge(go({ guards: requires(49_000) })), at);
  assert.deepEqual(tooLarge(go({ gate: { on: { kind: 'not', guard: requires(257)[0] } } })), at);
});

test('a step that maps more values than a step may does not load, and is named', () => {
  const joined = (count: number): object => ({ z: { concat: Array<string>(count).fill('$.context.q') } });
  const set = (count: number): object => many(count, (index) => [`k${index}`, '$.context.q']);
  const go = (output: object): Parameters<typeof flow>[0] => ({
    open: { transitions: { go: { target: 'done', output } } },
  });
  const at = ['/workflows/f/states/open/transitions/go'];
  for (const of of [joined, set]) {
    assert.deepEqual(tooLarge(go(of(1_000))), []);
    assert.deepEqual(tooLarge(go(of(1_001))), at);
  }
  assert.deepEqual(tooLarge(go({ ...joined(999), ...set(2) })), at);
  assert.deepEqual(tooLarge(go(joined(18_000))), at);
  const entering = { onEnter: { executor: { kind: 'noop' }, output: joined(1_001) } };
  assert.deepEqual(tooLarge({ open: { ...entering, transitions: { go: { target: 'done' } } } }), [
    '/workflows/f/states/open/onEnter',
  ]);
});

test('a step with more roles, fallbacks or people than a step may have does not load, and is named', () => {
  const go = (fields: object): Parameters<typeof flow>[0] => ({
    open: { transitions: { go: { target: 'done', ...fields } } },
  });
  const findingsIn = (fields: object): readonly string[] => {
    const { errors } = { errors: [], ...checkFlowText(flow(go(fields)), { catalog, media: 'json' }) };
    return errors.map(({ path, message }: { path: string; message: string }) => `${path}: ${message}`);
  };
  const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `role${index}`);
  const after = { after: '1h', action: 'deny' };
  const falling = (count: number): object => ({
    executor: { kind: 'noop' },
    reliability: {
      fallback: {
        strategy: 'first_success',
        executors: Array.from({ length: count }, () => ({ kind: 'noop' })),
      },
    },
  });
  const asking = (perRole: object): object => ({
    gate: { roles: names(20), quorum: { count: 1, perRole }, timeout: after },
  });
  for (const fields of [
    { gate: { roles: names(100), timeout: after } },
    falling(10),
    asking({ role0: 60, role1: 40 }),
  ])
    assert.deepEqual(findingsIn(fields), []);
  const at = '/workflows/f/states/open/transitions/go';
  for (const [fields, place, said] of [
    [{ gate: { roles: names(101), timeout: after } }, 'gate/roles', 'more than 100 roles'],
    [
      { gate: { roles: ['a'], timeout: { after: '1h', action: 'escalate', to: names(101) } } },
      'gate/timeout/to',
      'more than 100 roles',
    ],
    [{ executor: { kind: 'human', roles: names(101) } }, 'executor/roles', 'more than 100 roles'],
    [falling(11), 'reliability/fallback/executors', 'more than 10'],
    [asking({ role0: 60, role1: 41 }), 'gate/quorum/perRole', 'more than 100 people'],
  ] as const) {
    const [first = '', ...others] = findingsIn(fields);
    assert.ok(first.startsWith(`${at}/${place}: `) && first.includes(said), first);
    assert.deepEqual(others, []);
  }
});
