import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/model/values/json.js';
import type { FolderResult } from '../../../src/policy/index.js';
import { makeKit } from '../../../src/schema/kit.js';
import { principal } from '../../engine/people.js';
import { begin } from '../../engine/walk.js';
import { loadFiles } from '../load.js';

// A charter's gate stands before every action that it could be for: what is left out of a call, and what a schema says in
// an unusual way, takes no gate away.

function load(files: Readonly<Record<string, string>>): Promise<FolderResult> {
  const around = {
    'environments.yaml': 'environments: { dev: {} }\n',
    'roles.yaml': 'roles: { controller: { permissions: [] } }\n',
    'connections.yaml': 'connections: { sh: { kind: cli, command: /bin/true } }\n',
  };
  return loadFiles({ ...around, ...files });
}

const codes = (result: FolderResult): readonly string[] => [
  ...(result.status === 'invalid' ? result.errors : []).map((finding) => finding.code),
  ...result.warnings.map((finding) => finding.code),
];

/** What becomes of a submit: it waits, it is executed, or it is refused. */
function outcomeOf(result: FolderResult, action: string, args: JsonObject): string {
  assert.ok(result.status === 'loaded', JSON.stringify(result));
  const { plan } = result.flows[0] ?? assert.fail('there is no flow');
  const walk = begin(
    plan,
    {},
    principal('ann'),
    makeKit(result.policySet, 'dev', { author: null, promoter: null }),
  );
  walk.submit(principal('bot', 'agent'), action, args);
  if (walk.run.approvals.length > 0) return 'waits';
  return walk.run.executing === null ? 'refused' : 'called';
}

const declaring = '{ type: object, properties: { amount: { type: number } }, additionalProperties: false }';
const closed = '{ type: object, properties: { what: { type: string } }, additionalProperties: false }';
const open = '{ type: object, properties: { what: { type: string } } }';
const risky = `{ kind: expr, expr: "$.context.risk == 'high'" }`;
const large = `{ kind: expr, expr: '$.arguments.amount > 50000' }`;

/** A flow with two effects, and a third on entering, under one charter gate. */
const flow = (on: string, schema: string, risk = 'high', onEnter = ''): Readonly<Record<string, string>> => ({
  'flows/f.yaml': `workflows:
  f:
    owner: team
    initialState: a
    initialContext: { risk: ${risk} }
    charter:
      permissions: { execute: [] }
      approval_gate: { on: ${on}, approver_role: controller, timeout: { after: 1h } }
    states:
      a:
        transitions:
          pay: { target: a, tier: reversible, inputSchema: ${declaring}, executor: { kind: cli, connection: sh, args: [pay] } }
          wipe: { target: a, tier: reversible, inputSchema: ${schema}, executor: { kind: cli, connection: sh, args: [wipe] } }
          end: { target: done }
      done: { terminal: true${onEnter} }
`,
});
const entry = ', onEnter: { tier: reversible, executor: { kind: cli, connection: sh, args: [entry] } }';

describe('a charter gate that reads an argument and something else', () => {
  const either = `{ kind: anyOf, guards: [${risky}, ${large}] }`;
  const nested = `{ kind: allOf, guards: [{ kind: not, guard: { kind: not, guard: ${risky} } }, { kind: not, guard: ${large} }] }`;
  for (const [how, schema] of Object.entries({ declaring, closed, open }))
    it(`waits by what else it reads before an action whose schema is ${how}`, async () => {
      for (const on of [either, nested]) {
        const args = how === 'declaring' ? { amount: 1 } : { what: 'all' };
        assert.equal(outcomeOf(await load(flow(on, schema)), 'wipe', args), 'waits');
        assert.equal(outcomeOf(await load(flow(on, schema, 'low')), 'wipe', args), 'called');
        assert.equal(outcomeOf(await load(flow(on, schema)), 'pay', { amount: 1 }), 'waits');
      }
      assert.deepEqual(codes(await load(flow(either, schema))), []);
    });
  it('waits by its argument where an open schema lets it in', async () => {
    const loaded = await load(flow(either, open, 'low'));
    assert.equal(outcomeOf(loaded, 'wipe', { amount: 60_000 }), 'waits');
    assert.equal(outcomeOf(loaded, 'wipe', { amount: 'a lot' }), 'waits');
    assert.equal(outcomeOf(loaded, 'wipe', { amount: 1 }), 'called');
  });
  it('is not for an action that can never meet it, and says so', async () => {
    const both = `{ kind: allOf, guards: [${risky}, ${large}] }`;
    const loaded = await load(flow(both, closed));
    assert.deepEqual(codes(loaded), ['GATE_NOT_CONCERNED']);
    assert.equal(outcomeOf(loaded, 'wipe', { what: 'all' }), 'called');
    assert.deepEqual(codes(await load(flow(both, declaring, 'high', entry))), ['GATE_NOT_CONCERNED']);
  });
  it('does not load over an effect on entering that it could be for', async () => {
    assert.deepEqual(codes(await load(flow(either, declaring, 'high', entry))), ['GATE_IMPOSSIBLE']);
  });
});

describe('a schema that may let an undeclared argument in', () => {
  const agent = (on: string, schema: string, other = declaring): Readonly<Record<string, string>> => ({
    'tools/t.yaml': `tools:
  - { name: pay, tier: reversible, inputSchema: ${schema}, executor: { kind: cli, connection: sh, args: [pay] } }
  - { name: draft, tier: reversible, inputSchema: ${other}, executor: { kind: cli, connection: sh, args: [draft] } }
`,
    'flows/f.yaml': `name: payer
owner: team
permissions: { execute: [pay, draft] }
approval_gate: { on: '${on}', approver_role: controller, timeout: { after: 1h } }
`,
  });
  const kind = 'type: object, properties: { kind: { type: string } }';
  const then = (name: string): string => `{ properties: { ${name}: { type: number } } }`;
  const loose = '{ type: object, properties: { amount: { type: [array, object] } } }';
  const carrying: readonly (readonly [how: string, schema: string])[] = [
    [
      'dependentSchemas',
      `{ ${kind}, dependentSchemas: { kind: ${then('amount')} }, unevaluatedProperties: false }`,
    ],
    ['dependencies', `{ ${kind}, dependencies: { kind: ${then('amount')} }, unevaluatedProperties: false }`],
    ['if', `{ ${kind}, if: { required: [kind] }, then: ${then('amount')}, unevaluatedProperties: false }`],
    ['allOf', `{ ${kind}, allOf: [${then('amount')}], unevaluatedProperties: false }`],
    [
      'patternProperties',
      `{ ${kind}, patternProperties: { ^a: { type: number } }, additionalProperties: false }`,
    ],
    ['unevaluatedProperties', `{ ${kind}, unevaluatedProperties: { type: number } }`],
  ];
  for (const [how, schema] of carrying)
    it(`has the gate: ${how}`, async () => {
      const loaded = await load(agent('amount > 50000', schema));
      assert.deepEqual(codes(loaded), []);
      assert.equal(outcomeOf(loaded, 'pay', { kind: 'x', amount: 60_000 }), 'waits');
    });

  it('has the gate a level deeper too', async () => {
    const inner = (more: string): string =>
      `{ type: object, properties: { amount: { type: object, properties: { k: { type: string } }, ${more}, unevaluatedProperties: false } }, additionalProperties: false }`;
    for (const more of [
      `dependentSchemas: { k: ${then('v')} }`,
      `dependencies: { k: ${then('v')} }`,
      `oneOf: [${then('v')}]`,
    ]) {
      const loaded = await load(agent('$.arguments.amount.v > 50000', inner(more), loose));
      assert.equal(outcomeOf(loaded, 'pay', { amount: { k: 'a', v: 60_000 } }), 'waits', more);
    }
  });

  it('has the gate where a list has the item that a closed object has not', async () => {
    const list = (type: string): string =>
      `{ type: object, properties: { amount: { ${type}additionalProperties: false, items: { type: number } } }, additionalProperties: false }`;
    const on = '$.arguments.amount.0 > 50000';
    // ajv takes `items` and `additionalProperties` under the types that they are for.
    for (const type of ['type: [array, object], ']) {
      const loaded = await load(agent(on, list(type), loose));
      assert.equal(outcomeOf(loaded, 'pay', { amount: [60_000] }), 'waits', type);
    }
    const never = `{ type: object, properties: { amount: { type: object, properties: { k: { type: string } }, additionalProperties: false } }, additionalProperties: false }`;
    assert.deepEqual(codes(await load(agent(on, never, loose))), ['GATE_NOT_CONCERNED']);
  });

  it('is not said of a schema of plain keywords', async () => {
    const plain =
      '{ type: object, title: T, description: d, required: [kind], minProperties: 1, properties: { kind: { type: string, maxLength: 9 } }, additionalProperties: false }';
    assert.deepEqual(codes(await load(agent('amount > 50000', plain))), ['GATE_NOT_CONCERNED']);
  });
});
