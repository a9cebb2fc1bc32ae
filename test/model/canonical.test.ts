import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical, sameJson } from '../../src/model/values/canonical.js';

/** As the RFC says it, and slowly: keys in UTF-16 order, nothing between the tokens. */
function plainly(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plainly).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${plainly(item)}`).join(',')}}`;
}

test('canonical JSON is what RFC 8785 says, whatever the order and the names of the keys', () => {
  const names = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '10', '9', '', 'ä', '€'));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.dictionary(names, tie('value'), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(value, (given) => {
      assert.equal(canonical(given), plainly(given));
      assert.equal(canonical(JSON.parse(canonical(given))), canonical(given));
    }),
  );
});

test('the RFC’s own example of key order, and numbers', () => {
  const keys = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
  assert.deepEqual(Object.values(JSON.parse(canonical(keys)) as object).sort(), [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(canonical(keys), '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  assert.equal(
    canonical([333333333.33333329, 1e30, 4.5, 2e-3, 1e-27, -0]),
    '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
  );
});

test('a key without a value is no key; what JSON cannot carry is refused', () => {
  assert.equal(canonical({ b: undefined, a: 1, c: undefined }), '{"a":1}');
  assert.equal(canonical({}), '{}');
  for (const bad of [Number.NaN, Infinity, '\ud800', { '\ud800': 1 }, [undefined], () => 1, 1n])
    assert.throws(() => canonical(bad), TypeError);
  assert.ok(sameJson({ a: 1, b: [2] }, { b: [2], a: 1 }));
  assert.ok(!sameJson({ a: 1 }, { a: '1' }));
});
