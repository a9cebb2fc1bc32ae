import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBlank, truncate, truncateStart, toWellFormedJson } from '../../src/model/values/text.js';

const text = fc
  .array(fc.constantFrom('a', '\u{1f600}', '\ud83d', '\ude00', '\u0301'))
  .map((all) => all.join(''));

describe('text that is shortened', () => {
  it('is well-formed, no longer than asked, and whole where it fits', () => {
    fc.assert(
      fc.property(text, fc.nat(20), (given, longest) => {
        for (const cut of [truncate(given, longest, '…'), truncateStart(given, longest, '…')]) {
          assert.ok(cut.isWellFormed());
          assert.ok(cut.length <= Math.max(longest, 1));
          if (given.length <= longest) assert.equal(cut, given.toWellFormed());
        }
      }),
    );
  });

  it('keeps a character that ends at the cut, and leaves out the one that the cut would split', () => {
    assert.equal(truncate('ab\u{1f600}cd', 5, '.'), 'ab\u{1f600}.');
    assert.equal(truncate('abc\u{1f600}d', 5, '.'), 'abc.');
    assert.equal(truncateStart('ab\u{1f600}cd', 5, '.'), '.\u{1f600}cd');
    assert.equal(truncateStart('ab\u{1f600}cd', 4, '.'), '.cd');
  });
});

describe('JSON that holds halves of characters', () => {
  it('becomes well-formed in names and values, however deep', () => {
    const mended = toWellFormedJson({ 'a\ud800': [{ b: '\udc00x' }], n: 1, none: null });
    assert.deepEqual(mended, { 'a\ufffd': [{ b: '\ufffdx' }], n: 1, none: null });
  });

  it('is looked through once, however deep the one half stands, and keeps the rest and its order', () => {
    let reads = 0;
    let value: object = { z: '\ud800', a: ['same'] };
    for (let level = 0; level < 100; level += 1) {
      const inner = value;
      value = {
        first: 1,
        get inner(): object {
          reads += 1;
          return inner;
        },
        last: [level],
      };
    }
    const mended = JSON.stringify(toWellFormedJson(value));
    assert.ok(reads <= 300, `${reads}`);
    assert.equal(mended, JSON.stringify(value).replace('\\ud800', '\ufffd'));
  });

  it('is not copied where it has none', () => {
    const whole = { a: [{ b: '\u{1f600}' }], __proto__: null };
    assert.equal(toWellFormedJson(whole), whole);
  });
});

describe('a reason', () => {
  it('is none where nothing in it can be read, whatever its characters are called', () => {
    const unseen = [
      ' ',
      '\t',
      '\n',
      '\u00a0',
      '\u00ad',
      '\u034f',
      '\u115f',
      '\u180e',
      '\u200b',
      '\u200d',
      '\u202e',
    ];
    const more = [
      '\u2060',
      '\u2800',
      '\u3000',
      '\u3164',
      '\ufe0f',
      '\ufeff',
      '\uffa0',
      '\u{e0041}',
      '\0',
      '\ud800',
    ];
    for (const char of [...unseen, ...more, '\u0301', '\ue000', '\uffff'])
      assert.ok(isBlank(char.repeat(3)), char.codePointAt(0)?.toString(16));
    assert.ok(isBlank([...unseen, ...more].join('')));
    assert.ok(isBlank(''));
  });

  it('is one where anything in it can be read', () => {
    for (const text of ['a', '0', '.', '好', '\u{1f44d}', '\u200b-\u200b', 'é', 'e\u0301'])
      assert.ok(!isBlank(text), text);
  });
});
