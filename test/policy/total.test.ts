import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { findings } from '../../src/policy/text/findings.js';
import { checkFlowText, type Catalog, type FlowCheck } from '../../src/policy/index.js';
import { runsOf } from '../../testing/samples.js';
import { loadShipped, readShippedText, withTransition } from './documents.js';

// Whatever is sent, the answer is a flow or located problems: never an exception.

let catalog: Catalog;
let documents: readonly unknown[] = [];

const everyKind = withTransition(`title: t
actor: human
tier: reversible
inputSchema: { type: object, properties: { amount: { type: number }, rows: { type: array } } }
prefill: { amount: $.context.amount }
guards:
  - { kind: permission, permission: p }
  - { kind: allOf, guards: [{ kind: role, role: r }, { kind: not, guard: { kind: expr, expr: '$.arguments.amount > 5' } }] }
  - { kind: evidence, requires: [rest_call, { kind: human_request, count: 2, distinct: true }] }
gate:
  on: amount > 50
  roles: [finance.controller]
  quorum: { count: 2, perRole: { finance.controller: 1 } }
  separation: { requester: true }
  reason: required
  timeout: { after: 1h, action: escalate, to: [chief] }
executor:
  kind: rest
  connection: payroll
  method: POST
  path: '/users/{$.context.id}/x'
  query: { a: $.arguments.amount? }
  body: { a: [$.arguments.amount, 1, { b: null }] }
  idempotencyKey: true
  reliability:
    timeout: 5s
    retry: { maxAttempts: 3, backoff: exponential, initialDelayMs: 10 }
    fallback: { strategy: first_success, executors: [{ kind: mcp, connection: classifier, tool: x, map: { a: 1 } }] }
output: { amount: $.output.amount, id: { concat: [a, $.context.amount] }, n: { add: [1, $.context.amount] } }
branches: [{ when: { kind: expr, expr: '$.context.amount == 0' }, target: b }]`);

before(async () => {
  ({ catalog } = await loadShipped());
  const { parse } = await import('yaml');
  documents = [
    parse(await readShippedText('flows/expense_approval.yaml')),
    parse(await readShippedText('flows/vendor-invoice-reconciliation.json')),
    parse(everyKind),
  ];
});

function assertAnswer(text: string): FlowCheck {
  const checked = checkFlowText(text, { catalog, file: 'f' });
  const problems = [...checked.warnings, ...(checked.status === 'invalid' ? checked.errors : [])];
  if (checked.status === 'invalid') assert.ok(checked.errors.length > 0);
  const lines = text.split('\n').length;
  for (const finding of problems) {
    assert.ok(finding.line >= 1 && finding.column >= 1, JSON.stringify(finding));
    assert.ok(finding.line <= lines + 1, JSON.stringify(finding));
    assert.ok(finding.code in findings && finding.message !== '', JSON.stringify(finding));
    assert.equal(finding.file, 'f');
  }
  if (checked.status === 'valid') JSON.stringify(checked.flow.plan);
  return checked;
}

test('the document that uses everything is valid', () => {
  const checked = assertAnswer(everyKind);
  assert.equal(checked.status, 'valid', JSON.stringify(checked));
});

test('any JSON', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => void assertAnswer(text)),
    { numRuns: runsOf(300) },
  );
});

test('any text', () => {
  const piece = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '&a ',
    '*a',
    '!!str ',
    '? ',
    '|',
    '>',
    '#',
    ',',
    '---\n',
    '%YAML',
    '\t',
    '1',
    'null',
    'workflows:\n',
    '\u0000',
    'é',
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 60 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => void assertAnswer(text)),
    { numRuns: runsOf(500) },
  );
});

/** Every place in a document. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

type Change = (holder: Record<string, unknown>, key: string, with_: unknown) => void;
const changes: readonly Change[] = [
  (holder, key, other) => void (holder[key] = other),
  (holder, key) => void Reflect.deleteProperty(holder, key),
  (holder, key) => {
    holder[`${key}x`] = holder[key];
    Reflect.deleteProperty(holder, key);
  },
  (holder, key) => void (holder[key] = [holder[key]]),
  (holder, key) => void (holder[key] = { [key]: holder[key] }),
  (holder, key) => void (holder[key] = String(holder[key])),
];

test('a valid document with any of its places changed', () => {
  const mutation = fc.record({
    document: fc.nat(2),
    at: fc.nat(10_000),
    change: fc.nat(changes.length - 1),
    other: fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('$.context', '$.', '{', '__proto__', -1, 0, 1e15, [], {}, null),
    ),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (list) => {
      const document = structuredClone(documents[list[0]!.document]);
      for (const { at, change, other } of list) {
        const paths = pathsOf(document).filter((segments) => segments.length > 0);
        const path = paths[at % Math.max(paths.length, 1)];
        if (path === undefined) return;
        let holder = document as Record<string, unknown>;
        for (const key of path.slice(0, -1)) holder = holder[key] as Record<string, unknown>;
        changes[change]!(holder, path.at(-1)!, other);
      }
      assertAnswer(JSON.stringify(document, null, 2));
    }),
    { numRuns: runsOf(600) },
  );
});

test('any key taken away or renamed is never taken for the same flow with fewer rules', () => {
  // A document whose guards, gate or charter are misspelt must not load as if it had none.
  for (const document of documents) {
    for (const path of pathsOf(document).filter((segments) => segments.length > 0)) {
      const key = path.at(-1)!;
      if (
        ![
          'guards',
          'gate',
          'approval_gate',
          'permissions',
          'deny',
          'roles',
          'quorum',
          'actor',
          'tier',
          'on',
        ].includes(key)
      )
        continue;
      const copy = structuredClone(document) as Record<string, unknown>;
      let holder = copy;
      for (const segment of path.slice(0, -1)) holder = holder[segment] as Record<string, unknown>;
      holder[`${key}_`] = holder[key];
      Reflect.deleteProperty(holder, key);
      const checked = assertAnswer(JSON.stringify(copy));
      assert.equal(checked.status, 'invalid', `${path.join('/')} renamed`);
    }
  }
});
