// Whatever writes a secret, and whatever writes that again, nothing of it is handed on; and what has no secret in it stays
// as it is.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { root } from '../../../src/executors/answer/places.js';
import { makeMask } from '../../../src/executors/masking/mask.js';
import type { Json } from '../../../src/model/values/json.js';
import { runsOf } from '../../../testing/samples.js';

const now = (): Promise<void> => Promise.resolve();

const bytes = (text: string, write: (byte: number) => string): string =>
  [...Buffer.from(text)].map(write).join('');
const units = (text: string, write: (unit: number) => string): string =>
  Array.from({ length: text.length }, (_, at) => write(text.charCodeAt(at))).join('');
const points = (text: string, write: (point: number) => string): string =>
  [...text].map((character) => write(character.codePointAt(0) ?? 0)).join('');
const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0');
const lines = (text: string, width: number, end: string): string =>
  (text.match(new RegExp(`[^]{1,${width}}`, 'gu')) ?? []).join(end);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const isSafe = (byte: number): boolean => byte > 0x20 && byte < 0x7f && byte !== 0x3d;

/** Each as some reader would undo it: a browser, JSON, an address, mail, a programming language, a shell. */
const writings: Readonly<Record<string, (text: string) => string>> = {
  'percent escapes where they must be': encodeURIComponent,
  'percent escapes of every byte': (text) => bytes(text, (byte) => `%${hex(byte, 2)}`),
  'percent escapes of old scripts': (text) => units(text, (unit) => `%u${hex(unit, 4)}`),
  'a form': (text) => new URLSearchParams({ '': text }).toString().slice(1),
  JSON: (text) => JSON.stringify(text).slice(1, -1),
  'JSON with slashes escaped': (text) => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  'JSON of ASCII': (text) => units(text, (unit) => `\\u${hex(unit, 4)}`),
  'code points in braces': (text) => points(text, (point) => `\\u{${hex(point, 1)}}`),
  'code points of eight digits': (text) => points(text, (point) => `\\U${hex(point, 8)}`),
  'bytes in hex': (text) => bytes(text, (byte) => `\\x${hex(byte, 2)}`),
  'bytes in octal': (text) => bytes(text, (byte) => `\\${byte.toString(8).padStart(3, '0')}`),
  'decimal entities': (text) => points(text, (point) => `&#${point};`),
  'entities with forty zeros': (text) => points(text, (point) => `&#x${'0'.repeat(40)}${hex(point, 1)};`),
  'decimal entities with forty zeros': (text) => points(text, (point) => `&#${'0'.repeat(40)}${point};`),
  'entities with names': (text) =>
    points(
      text,
      (point) =>
        ({ 38: '&amp;', 60: '&lt;', 34: '&quot;', 47: '&sol;', 252: '&uuml;', 8364: '&euro;' })[point] ??
        String.fromCodePoint(point),
    ),
  base64,
  'base64 without padding': (text) => base64(text).replaceAll('=', ''),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 in the middle of more': (text) => base64(`xy${text}z`),
  'base64 in lines': (text) => lines(base64(text), 16, '\r\n'),
  'base64 in lines that are indented': (text) => lines(base64(text), 12, '\n   '),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex in capitals': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'quoted-printable': (text) =>
    bytes(text, (byte) => (isSafe(byte) ? String.fromCharCode(byte) : `=${hex(byte, 2).toUpperCase()}`)),
  'quoted-printable with soft breaks and blanks': (text) =>
    lines(
      bytes(text, (byte) => `=${hex(byte, 2).toUpperCase()}`),
      9,
      '= \t\r\n',
    ),
  'lines of eight': (text) => lines(text, 8, '\n'),
  'lines that are broken at blanks': (text) => text.replaceAll(' ', '\n'),
  'lines of a stream of events': (text) => lines(text, 8, '\n\ndata: '),
};
/** Only as it is: its text is packed already, in units of two bytes. */
const last: Readonly<Record<string, (text: string) => string>> = {
  'UTF-16 in base64': (text) => Buffer.from(text, 'utf16le').toString('base64'),
  'UTF-16 of the other order in base64': (text) => Buffer.from(text, 'utf16le').swap16().toString('base64'),
  'UTF-16 in hex': (text) => Buffer.from(text, 'utf16le').toString('hex'),
  'UTF-16 in percent escapes': (text) =>
    [...Buffer.from(text, 'utf16le')].map((byte) => `%${hex(byte, 2)}`).join(''),
};

const letter = fc.constantFrom(...'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789');
const secretText = fc
  .array(fc.oneof({ weight: 4, arbitrary: letter }, fc.constantFrom(...'/+=&<"\\%\'_-.~:!?#@ü€😀 \t\n')), {
    minLength: 10,
    maxLength: 40,
  })
  .map((characters) => characters.join(''))
  // Of fewer characters besides its blanks, lines are not joined.
  .filter((text) => text.replace(/\s/g, '').length >= 6 && text.trim() === text);
const around = fc.constantFrom('', ' ', 'authorization: ', '"', '<b>', '(', '\t');

describe('a secret is masked', () => {
  for (const [name, write] of [['as it is', (text: string) => text] as const, ...Object.entries(writings)])
    test(`as ${name}, however that is written again`, async () => {
      await fc.assert(
        fc.asyncProperty(
          secretText,
          // Lines that are broken again are no lines of mail any more.
          fc.constantFrom(
            'itself',
            ...Object.keys(writings).filter((again) => !/lines/.test(again) || !/blanks/.test(name)),
          ),
          around,
          around,
          async (secret, again, before, behind) => {
            const written = (writings[again] ?? String)(write(secret));
            const { value, at } = await makeMask([secret]).json(`${before}${written}${behind}`, now);
            assert.deepEqual(at, [root], `${again}: ${written}`);
            assert.ok(!String(value).includes(written) && !String(value).includes(secret), String(value));
          },
        ),
        { numRuns: runsOf(60) },
      );
    });

  for (const [name, write] of Object.entries(last))
    test(`as ${name}`, () => {
      fc.assert(
        fc.property(fc.array(letter, { minLength: 8, maxLength: 40 }), around, (characters, before) => {
          const secret = characters.join('').replace(/(..)[A-H]+(?=.)/g, '$1 ');
          fc.pre(secret.replaceAll(' ', '').length >= 6);
          assert.ok(
            makeMask([secret])
              .text(`${before}${write(secret)}`)
              .includes('[redacted]'),
          );
        }),
        { numRuns: runsOf(60) },
      );
    });

  test('as base64 of what a header carries of it', () => {
    const secret = 'Zürich-Schlüssel-7';
    assert.match(makeMask([secret]).text(base64(encodeURIComponent(secret))), /^\[redacted\].{0,3}$/);
  });

  test('wherever a list of texts or of blocks is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        secretText,
        fc.array(fc.nat(60), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (secret, cuts, isBlocks) => {
          const text = `before ${secret} behind`;
          const places = [...new Set([0, ...cuts.filter((at) => at < text.length), text.length])].sort(
            (a, b) => a - b,
          );
          const pieces = places.slice(1).map((to, index) => text.slice(places[index], to));
          const value: Json = isBlocks
            ? { content: pieces.map((piece) => ({ type: 'text', text: piece })) }
            : { lines: pieces };
          const masked = await makeMask([secret]).json(value, now);
          const said = isBlocks
            ? (masked.value as { content: { text: string }[] }).content.map((block) => block.text)
            : (masked.value as { lines: string[] }).lines;
          assert.ok(!said.join('').includes(secret), JSON.stringify(masked));
          assert.ok(masked.at.length > 0);
        },
      ),
      { numRuns: runsOf(200) },
    );
  });
});

describe('what has no secret in it stays as it is', () => {
  const mask = makeMask(['k3y=va/lue+tail==', 'Zürich-Schlüssel-7', 'S3CR3T-planted-tgt-value-0001']);
  const odd = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .array(
        fc.constantFrom(
          '%25',
          '\\u00',
          '&#x0',
          '=3D',
          '=\n',
          'data: ',
          'QUJD',
          '\\x',
          '\\',
          'Z%C3%',
          '\ud800',
        ),
        { maxLength: 60 },
      )
      .map((parts) => parts.join('')),
  );

  test('a text', () => fc.assert(fc.property(odd, (text) => assert.equal(mask.text(text), text))));

  test('what is told of a long text', () =>
    fc.assert(
      fc.property(odd, (text) => {
        const plain = text.toWellFormed().padEnd(6_000, ' plain words');
        assert.equal(mask.start(plain, 500), makeMask([]).start(plain, 500));
        assert.equal(mask.end(plain, 500), makeMask([]).end(plain, 500));
      }),
    ));

  test('an answer, which is the same and no copy', () =>
    fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const masked = await mask.json(value as Json, now);
        assert.ok(masked.value === value && masked.at.length === 0);
      }),
    ));
});

describe('of a secret of more than 64 characters', () => {
  const assertNoneOf = (secret: string, shown: string): void => {
    for (let at = 0; at + 8 <= secret.length; at += 1)
      assert.ok(!shown.includes(secret.slice(at, at + 8)), `${secret.slice(at, at + 8)}: ${shown}`);
  };
  const longSecret = fc
    .array(letter, { minLength: 65, maxLength: 200 })
    .map((characters) => characters.join(''));

  test('nothing is told where a line breaks behind its first 64, in its middle or in its base64', () => {
    fc.assert(
      fc.property(longSecret, fc.integer({ min: 60, max: 140 }), fc.boolean(), (secret, width, isPacked) => {
        const written = isPacked ? base64(secret) : secret;
        const { text, start, end } = makeMask([secret]);
        const broken = `before ${lines(written, width, '\n')} behind`;
        for (const shown of [text(broken), start(broken, 500), end(broken, 500)])
          assertNoneOf(written, shown);
      }),
    );
  });

  test('nothing is told where another writing begins behind its first 64', () => {
    fc.assert(
      fc.property(longSecret, fc.integer({ min: 60, max: 140 }), (secret, at) => {
        const mixed = secret.slice(0, at) + bytes(secret.slice(at), (byte) => `%${hex(byte, 2)}`);
        const shown = makeMask([secret]).text(`before ${mixed} behind`);
        assertNoneOf(secret, decodeURIComponent(shown));
      }),
    );
  });

  test('it is replaced in place where all of it stands as it is', () => {
    fc.assert(
      fc.property(longSecret, longSecret, (secret, other) => {
        const mask = makeMask([secret, other, secret.slice(0, 64) + other]);
        assert.equal(
          mask.text(`before ${secret} between ${other}.`),
          'before [redacted] between [redacted].',
        );
      }),
    );
  });
});

describe('of a long secret that a text is cut in', () => {
  const secret = Array.from({ length: 3_000 }, (_, at) => ((at * 7_919) % 9_973).toString(36)).join('');
  const told = makeMask([secret]);
  const assertNothing = (shown: string): void => {
    for (let at = 0; at + 12 <= secret.length; at += 6)
      assert.ok(!shown.includes(secret.slice(at, at + 12)), shown);
  };

  for (const [name, write] of Object.entries({ 'as it is': (text: string) => text, ...writings }))
    test(`nothing is told, ${name}`, () => {
      const text = `before ${write(secret)} behind`;
      assertNothing(told.start(`${text}${'x'.repeat(90_000)}`, 500));
      assertNothing(told.end(`${'x'.repeat(90_000)}${text}`, 500));
    });

  test('nothing is told, in lines that are longer than what is compared of it', () => {
    const text = `before ${lines(secret, 76, '\n')} behind`;
    assertNothing(told.start(`${text}${'x'.repeat(90_000)}`, 500));
    assertNothing(told.end(`${'x'.repeat(90_000)}${text}`, 500));
  });

  test('where its writer ended in the middle of it, and where its beginning was dropped', () => {
    for (const at of [5, 70, 900, 5_000]) {
      assertNothing(told.start(`${'x'.repeat(9)}${secret.slice(0, at)}`, 500));
      assertNothing(told.end(`${'x'.repeat(9_000)}${secret.slice(0, at)}`, 500));
      assertNothing(told.end(`${secret.slice(at)}${'x'.repeat(9)}`, 500, '...', 'tail'));
      assertNothing(told.end(secret.slice(at, at + 2_000), 500, '...', 'tail'));
    }
  });
});
