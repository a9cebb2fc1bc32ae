import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Connection } from '../../../src/model/policy-set.js';
import { checkFlowText, type Catalog } from '../../../src/policy/index.js';
import { loadShipped, transitionAt, withTransition } from '../documents.js';

// What a content type cannot carry is told when the flow is read.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

const form = 'application/x-www-form-urlencoded';
const at = `${transitionAt}/executor/body`;
const step = (body: string, headers: string): string =>
  withTransition(
    `tier: reversible\nexecutor: { kind: rest, connection: payroll, method: POST, path: /x, headers: ${headers}, body: ${body} }`,
  );
function findingsIn(body: string, headers = '{}', of: Catalog = catalog): readonly string[] {
  const checked = checkFlowText(step(body, headers), { catalog: of });
  return checked.status === 'invalid'
    ? checked.errors.map(({ code, path, message }) => `${code} ${path} ${message}`)
    : [];
}
/** `payroll` in two environments, whose headers differ. */
function withHeaders(...each: readonly Readonly<Record<string, string>>[]): Catalog {
  const targets = each.map((headers, index) => ({
    environment: ['dev', 'prod'][index] ?? null,
    connection: { kind: 'rest', baseUrl: 'https://x.example', allowPrivate: false, headers } as Connection,
  }));
  const others = catalog.policySet.connections.filter(({ name }) => name !== 'payroll');
  const connections = [...others, { name: 'payroll', targets }];
  return { ...catalog, policySet: { ...catalog.policySet, connections } };
}

describe('a form', () => {
  test('has names and plain values', () => {
    assert.deepEqual(findingsIn('{ a: x, b: 1, c: true, "d[e]": "1.10" }', `{ content-type: ${form} }`), []);
    assert.deepEqual(findingsIn('a=1&b=2', `{ Content-Type: ${form} }`), []);
  });

  test('has no list and no object in it, wherever its content type is written', () => {
    const said = [
      `WRONG_VALUE ${at}/b a form has plain values, and \`b\` is a list: give each a name of its own, as its target writes them (\`b[0]\`, \`b[key]\`)`,
      `WRONG_VALUE ${at}/c a form has plain values, and \`c\` is an object: give each a name of its own, as its target writes them (\`c[0]\`, \`c[key]\`)`,
    ];
    const body = '{ a: x, b: [1], c: { d: 1 } }';
    assert.deepEqual(findingsIn(body, `{ content-type: ${form} }`), said);
    assert.deepEqual(findingsIn(body, '{}', withHeaders({ 'Content-Type': `${form}; charset=utf-8` })), said);
    assert.deepEqual(findingsIn(body, '{}', withHeaders({}, { 'content-type': form })), said);
  });

  test('is sent as text: a number in another writing, and what would be left out, are told', () => {
    const told = findingsIn('{ a: 1.10, b: null }', `{ content-type: ${form} }`);
    assert.deepEqual(
      told.map((sentence) => sentence.split(' ').slice(0, 2).join(' ')),
      [`WRONG_VALUE ${at}/a`, `WRONG_VALUE ${at}/b`],
    );
  });
});

describe('a content type of another kind', () => {
  const types = ['multipart/form-data', 'text/xml', 'text/plain; charset=utf-8', 'application/json-seq'];
  for (const type of types)
    test(`\`${type}\` carries a text, and neither an object nor a list`, () => {
      const said = (what: string): readonly string[] => [
        `WRONG_VALUE ${at} \`${type}\` cannot carry ${what}: write the body as one text, or as an object under \`application/json\` or \`${form}\``,
      ];
      const headers = `{ Content-Type: '${type}' }`;
      assert.deepEqual(findingsIn('{ a: 1 }', headers), said('an object'));
      assert.deepEqual(findingsIn('[1]', headers), said('a list'));
      assert.deepEqual(
        findingsIn('{ a: 1 }', '{}', withHeaders({ 'content-type': type })),
        said('an object'),
      );
      assert.deepEqual(findingsIn('some text', headers), []);
    });
});

test('JSON is carried without a content type, and under every content type that says JSON', () => {
  assert.deepEqual(findingsIn('{ a: [1] }'), []);
  for (const type of ['application/json', 'application/vnd.api+json', 'application/x-amz-json-1.1'])
    assert.deepEqual(findingsIn('{ a: [1] }', `{ Content-Type: ${type} }`), []);
  for (const body of ['[{ a: 1 }]', '{ a: 1 }'])
    assert.deepEqual(findingsIn(body, '{ Content-Type: application/x-ndjson }'), []);
});

test('what a reference holds is not known here, and is judged when the call is made', () => {
  assert.deepEqual(findingsIn('{ a: [1] }', '{}', withHeaders({ 'content-type': 'env://TYPE' })), []);
});
