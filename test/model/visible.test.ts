import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { approvalHtml } from '../../src/api/pages/approval.js';
import { unseenCharacters } from '../../src/model/values/text.js';
import { escapeUnseen, toVisibleJson } from '../../src/model/values/visible.js';

/** How many pieces of texts were replaced by calling back. */
function callbacksOf(work: () => void): number {
  let count = 0;
  const replaceAll = String.prototype.replaceAll as (...all: unknown[]) => string;
  String.prototype.replaceAll = function (this: string, those: unknown, by: unknown): string {
    if (typeof by !== 'function') return replaceAll.call(this, those, by);
    const replacer = by as (...all: unknown[]) => string;
    return replaceAll.call(this, those, (...all: unknown[]) => {
      count += 1;
      return replacer(...all);
    });
  };
  try {
    work();
  } finally {
    String.prototype.replaceAll = replaceAll;
  }
  return count;
}

const mixed = [
  ...['', 'plain', '\x7f', 'a\x7f\x7fb\u202ec', '\u{e0041}\u{e0042}x', 'one\ntwo\n\n\u2028three\r\n'],
  ...['\u2800\u200b\ufeff', '\ud800\x7f', '\x7f\udc00', `${'\x7f'.repeat(1_023)}\u{e0041}\x7f`],
];

describe('text that holds what nobody sees', () => {
  it('is shown with each such character by its code point', () => {
    for (const text of mixed) {
      const each = (char: string): string => `\\u{${char.codePointAt(0)!.toString(16)}}`;
      assert.equal(escapeUnseen(text), text.toWellFormed().replaceAll(unseenCharacters, each));
    }
    assert.equal(escapeUnseen('a\x7f\x7f\nb\u{e0041}'), 'a\\u{7f}\\u{7f}\\u{a}b\\u{e0041}');
  });

  it('is the same value as JSON, in lines of its own, with none of them in it', () => {
    for (const text of mixed) {
      const value = { [text]: [text, 1] };
      const shown = toVisibleJson(value, '`');
      assert.deepEqual(JSON.parse(shown), value);
      assert.equal(shown.split('\n').length, JSON.stringify(value, null, 2).split('\n').length);
      assert.equal(shown.replaceAll('\n', '').search(unseenCharacters), -1);
    }
    assert.equal(toVisibleJson(['\x7f\u{e0041}`'], '`'), '[\n  "\\u007f\\udb40\\udc41\\u0060"\n]');
  });

  it('is written run by run, however many of them stand together', () => {
    const long = '\x7f\u{e0041}'.repeat(100_000);
    const lines = Array.from({ length: 10_000 }, (_, index) => index);
    assert.ok(callbacksOf(() => void escapeUnseen(long)) <= 200);
    assert.ok(callbacksOf(() => void toVisibleJson({ long })) <= 200);
    assert.equal(
      callbacksOf(() => void toVisibleJson(lines)),
      0,
    );
  });

  it('lets everybody go on between the two values of an approval', async () => {
    const asked: string[] = [];
    const body = {
      get arguments(): string {
        asked.push('arguments');
        setImmediate(() => asked.push('others'));
        return 'a';
      },
      get preview(): string {
        asked.push('preview');
        return 'p';
      },
    };
    const { html } = await approvalHtml(body, true);
    assert.deepEqual(asked, ['arguments', 'others', 'preview']);
    assert.match(html, /<pre>&quot;a&quot;<\/pre>[^]*<pre>&quot;p&quot;<\/pre>/);
  });
});
