import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';

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
