import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { parse, parseDocument, stringify } from 'yaml';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
import type { Plan } from '../../src/engine/plan.js';
import { leastOf, runsOf } from '../../testing/samples.js';
import { loadShipped } from './documents.js';

// However a flow is written, its plan is the same: from every notation of the same document.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

const names = ['a', '__proto__', 'constructor', 'a/b', 'a~b', 'to string', 'ja', '1'];
const name = fc.constantFrom(...names);
const literal = fc.constantFrom('"x"', '1', '-2.5', 'true', 'null');
const expr = fc
  .record({
    path: fc.constantFrom('$.context.n', '$.context["odd name"]', '$.workflow.input.n'),
    to: literal,
  })
  .map(({ path, to }) => ({ kind: 'expr', expr: `${path} == ${to}` }));
const guard = fc.letrec<{ guard: object }>((tie) => ({
  guard: fc.oneof(
    { depthSize: 'small' },
    expr,
    fc.constantFrom({ kind: 'role', role: 'finance.controller' }, { kind: 'permission', permission: 'p' }),
    fc.record({
      kind: fc.constantFrom('allOf', 'anyOf', 'all_of', 'any_of'),
      guards: fc.array(tie('guard'), { minLength: 1, maxLength: 3 }),
    }),
    tie('guard').map((inner) => ({ kind: 'not', guard: inner })),
  ),
})).guard;
const gate = fc.record(
  {
    roles: fc.constant(['finance.controller']),
    reason: fc.constantFrom('required', 'optional'),
    quorum: fc.record({ count: fc.integer({ min: 1, max: 2 }) }),
    timeout: fc.record({ after: fc.constantFrom('1h', '30m'), action: fc.constant('deny') }),
    reminders: fc.constantFrom([0.5], [0.25, 0.75]),
  },
  { requiredKeys: ['roles'] },
);
const output = fc.dictionary(
  fc.constantFrom('n', 'odd name', 'm'),
  fc.oneof(
    fc.constantFrom('$.context.n', 'text', 'a: b', '# no comment', 'yes', '007'),
    fc.integer(),
    fc.boolean(),
  ),
  { maxKeys: 2, noNullPrototype: true },
);

/** States in a ring, the last of them terminal; names and texts are of the kind that notations trip over. */
const flow = fc
  .record({
    states: fc.uniqueArray(name, { minLength: 2, maxLength: 4 }),
    description: fc.constantFrom('plain', 'with: colon', '- dash', 'two\nlines', 'it\'s "quoted"', ' '),
    transitions: fc.array(
      fc.record(
        {
          guards: fc.array(guard, { minLength: 1, maxLength: 2 }),
          gate,
          output,
          actor: fc.constantFrom('agent', 'human'),
          title: fc.constantFrom('t', 'no', '1.0', '~'),
        },
        { requiredKeys: [] },
      ),
      { minLength: 4, maxLength: 4 },
    ),
  })
  .map(({ states, description, transitions }) => {
    const of = states.map((state, index): [string, object] => {
      const next = states[index + 1];
      const fields =
        next === undefined
          ? { terminal: true }
          : { transitions: entry('go', { target: next, ...transitions[index] }) };
      return [state, fields];
    });
    const workflow = {
      ...{
        description,
        owner: 'team',
        initialState: states[0],
        initialContext: { n: 1, 'odd name': null, m: '' },
      },
      inputSchema: { type: 'object', properties: { n: { type: 'number' } } },
      states: Object.fromEntries(of),
    };
    return { workflows: { f: workflow } };
  });

function entry(key: string, value: unknown): object {
  return Object.fromEntries([[key, value]]);
}

function planOf(text: string): Plan | null {
  const checked = checkFlowText(text, { catalog });
  return checked.status === 'valid' ? checked.flow.plan : null;
}

test('block, flow, quoted and JSON notation of the same document give the same plan', () => {
  let valid = 0;
  fc.assert(
    fc.property(flow, (document) => {
      const block = stringify(document);
      const plan = planOf(block);
      if (plan !== null) valid += 1;
      for (const other of [
        JSON.stringify(document),
        JSON.stringify(document, null, 2),
        stringify(document, { collectionStyle: 'flow' }),
        stringify(document, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'QUOTE_DOUBLE', indent: 4 }),
        stringify(parse(block)),
      ])
        assert.deepEqual(planOf(other), plan, other);
    }),
    { numRuns: runsOf(150) },
  );
  assert.ok(valid > leastOf(75), `only ${valid} flows of ${runsOf(150)} were valid`);
});

test('a document that is read and written again keeps its comments, its order and its plan', () => {
  fc.assert(
    fc.property(flow, (document) => {
      const text = `# why this flow is\n${stringify(document)}# the end\n`;
      const once = parseDocument(text).toString();
      assert.equal(parseDocument(once).toString(), once);
      assert.ok(once.startsWith('# why this flow is\n') && once.endsWith('# the end\n'));
      assert.deepEqual(planOf(once), planOf(text));
      assert.deepEqual(
        Object.keys(Object(parse(once).workflows.f.states)),
        Object.keys(document.workflows.f.states),
      );
    }),
    { numRuns: runsOf(100) },
  );
});
