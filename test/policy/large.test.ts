import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFlowText, loadFolder, type Catalog } from '../../src/policy/index.js';

// A flow as large as may be sent is checked as quickly, in its size, as a small one. Where a check grows with the square
// of something, a test here does not end.

const environment = { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const policySet = {
  v: 1,
  baseDirectory: '/',
  connections: [],
  environments: [environment],
  roles: [],
  queues: [],
} as const;
const catalog: Catalog = { policySet, tools: [] };
const many = (count: number, make: (index: number) => readonly [string, unknown]): object =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => make(index)));
const guard = (expr: string): object => ({ kind: 'expr', expr });
const when = (expr: string, more: object = {}): object => ({
  target: 'done',
  actor: 'deterministic',
  guards: [guard(expr)],
  ...more,
});
const flow = (states: object, more: object = {}): string =>
  JSON.stringify({
    workflows: {
      f: { owner: 't', initialState: 'open', ...more, states: { ...states, done: { terminal: true } } },
    },
  });
const set = (key: string): object => ({ target: 'done', output: { [key]: '$.workflow.input.x' } });

const texts: Readonly<Record<string, string>> = {
  '1,500 deterministic transitions out of one state': flow({
    open: { transitions: many(1_500, (index) => [`t${index}`, when(`$.context.x == 'v${index}'`)]) },
  }),
  '2,000 deterministic transitions that read as many keys': flow({
    open: { transitions: many(2_000, (index) => [`t${index}`, when(`$.context.x${index} == 1`)]) },
  }),
  '1,500 deterministic states that ask for one key': flow(
    many(1_500, (index) => [
      index === 0 ? 'open' : `s${index}`,
      {
        transitions: {
          a: when('$.context.x > 1', { target: index < 1_499 ? `s${index + 1}` : 'done' }),
          b: when('$.context.x <= 1'),
        },
      },
    ]),
    { initialContext: { x: 1 } },
  ),
  '2,000 deterministic states that ask for as many keys': flow(
    many(2_000, (index) => [
      index === 0 ? 'open' : `s${index}`,
      {
        transitions: {
          a: when(`$.context.x${index} > 1`, { target: `s${(index + 1) % 2_000 || 1}` }),
          b: when('1 == 1'),
        },
      },
    ]),
  ),
  '8,000 guards on one transition': flow({
    open: {
      transitions: {
        go: {
          target: 'done',
          guards: Array.from({ length: 8_000 }, (_, index) =>
            guard(`$.context.x${index % 4_000} != ${index}`),
          ),
        },
      },
    },
  }),
  '3,000 mappings that write one key, and 1,000 that read it': flow({
    open: {
      transitions: {
        ...many(3_000, (index) => [`w${index}`, set('x')]),
        ...many(2_000, (index) => [
          `r${index}`,
          { target: 'done', guards: [guard(`$.context.x == ${index}`)] },
        ]),
      },
    },
  }),
  '9,000 targets that are no state': flow({
    open: { transitions: many(9_000, (index) => [`t${index}`, { target: `nowhere_to_be_found_${index}` }]) },
  }),
  '20,000 unknown keys': flow({
    open: { transitions: { go: { target: 'done', ...many(20_000, (index) => [`gaurds${index}`, 1]) } } },
  }),
  '9,000 acknowledgements of what nobody finds': flow(
    { open: { transitions: { go: { target: 'done' } } } },
    {
      acknowledge: Array.from({ length: 9_000 }, (_, index) => ({
        code: `DETERMINISTIC_HOOL${index}`,
        reason: 'r',
      })),
    },
  ),
  'a charter of 30,000 tools': JSON.stringify({
    name: 'f',
    owner: 't',
    permissions: {
      execute: Array.from({ length: 15_000 }, (_, index) => `tool${index}`),
      deny: Array.from({ length: 15_000 }, (_, index) => `tool${index}`),
    },
  }),
  '300 schemas': flow({
    open: {
      transitions: many(300, (index) => [
        `t${index}`,
        {
          target: 'done',
          inputSchema: { type: 'object', properties: { [`p${index}`]: { type: 'string' } } },
        },
      ]),
    },
  }),
};

for (const [title, text] of Object.entries(texts))
  test(`a flow with ${title} is checked`, () => {
    assert.ok(text.length < 1_048_576, String(text.length));
    const checked = checkFlowText(text, { catalog, media: 'json' });
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
  assert.match(found.find((one) => one !== 'valid') ?? '', /does not go with that of its tool `desk\.send`/);
  rmSync(root, { recursive: true });
});

/** Where `TOO_LARGE` is found. */
function tooLarge(states: Parameters<typeof flow>[0]): readonly string[] {
  const { errors } = { errors: [], ...checkFlowText(flow(states), { catalog, media: 'json' }) };
  return errors
    .filter(({ code }: { code: string }) => code === 'TOO_LARGE')
    .map(({ path }: { path: string }) => path);
}

test('a step that asks more conditions than one may does not load, and is named', () => {
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

test('a step that maps more values than one may does not load, and is named', () => {
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

test('a step of more roles, fallbacks or people than one may have does not load, and is named', () => {
  const go = (fields: object): Parameters<typeof flow>[0] => ({
    open: { transitions: { go: { target: 'done', ...fields } } },
  });
  const found = (fields: object): readonly string[] => {
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
    assert.deepEqual(found(fields), []);
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
    const [first = '', ...others] = found(fields);
    assert.ok(first.startsWith(`${at}/${place}: `) && first.includes(said), first);
    assert.deepEqual(others, []);
  }
});
