import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { jsonText } from '../../../src/api/http/bodies/json-writing.js';

describe('an answer as text', () => {
  it('is what JSON.stringify writes', async () => {
    const anything = fc.oneof(
      fc
        .anything({ withDate: true, withSparseArray: true, maxDepth: 8, withNullPrototype: true })
        .filter(isWritten),
      fc.jsonValue({ maxDepth: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        assert.equal(await jsonText(value), JSON.stringify(value));
      }),
    );
    const odd = { a: undefined, b: [undefined, 1, [], {}, new Date(0)], 'c"': { toJSON: 'x' }, d: -0 };
    assert.equal(await jsonText(odd), JSON.stringify(odd));
    const long = { data: Array.from({ length: 5_000 }, (_, n) => (n % 1_700 === 0 ? { n } : n)) };
    assert.equal(await jsonText(long), JSON.stringify(long));
  });

  it('lets others go on while it is written, wherever in it the most of it stands', async () => {
    const item = { text: 'é'.repeat(200), more: Array.from({ length: 50 }, (_, n) => ({ n, x: 'y' })) };
    const many = Array.from({ length: 5_000 }, () => item);
    const numbers = Array.from({ length: 2_000_000 }, (_, n) => n);
    for (const body of [
      { data: many },
      { run: {}, context: { list: many } },
      { actions: [{ policy: many }] },
      { context: { a: { b: numbers } } },
    ]) {
      let went = 0;
      let isDone = false;
      const goOn = (): void => {
        went += 1;
        if (!isDone) setImmediate(goOn);
      };
      setImmediate(goOn);
      await jsonText(body);
      isDone = true;
      assert.ok(went > 2, `${went}`);
    }
  });
});

/** Any value but those that JSON cannot write or that throw: they are in no answer. */
function isWritten(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined && !JSON.stringify(value).includes('undefined');
  } catch {
    return false;
  }
}
