// Masking costs what its text is long, and finds what the exhaustive search finds that it stands for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pointerOf, root, type Place } from '../../../src/executors/answer/places.js';
import { makeMask } from '../../../src/executors/masking/mask.js';
import { brokenEnd, brokenStart } from '../../../src/executors/masking/index-of-words.js';
import type { Json } from '../../../src/model/values/json.js';
import { standsSlowly } from './slow-mask.js';
import { runsOf } from '../../../testing/samples.js';

const now = (): Promise<void> => Promise.resolve();

/** The same numbers each time. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const hex = (text: string, width: number, mark: string): string =>
  [...text].map((character) => mark + character.charCodeAt(0).toString(16).padStart(width, '0')).join('');
const secrets = [
  'S3CR3T-planted-tgt-value-0001',
  'Bearer T0KEN/planted+auth=value',
  'hunter2!',
  'rootpassword!&"it\'s"',
  'pa%41ss\\word 12',
  'deadbeefcafe',
  'Zürich-Schlüssel',
  'postgres://app:hun%2Fter2222@db:5432/x',
  'key=Größe=über',
];

/** Lines of `width` at most, each but the last with a soft break. */
function quotedPrintable(bytes: Buffer, width: number): string {
  const written = [...bytes].map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x3d
      ? String.fromCharCode(byte)
      : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  );
  let line = 0;
  return written
    .map((character) => {
      line += character.length;
      if (line < width) return character;
      line = character.length;
      return `=\r\n${character}`;
    })
    .join('');
}

type Write = (text: string, roll: (below: number) => number) => string;
const some: (write: Write) => Write = (write) => (text, roll) =>
  [...text].map((character) => (roll(2) === 0 ? write(character, roll) : character)).join('');
const writers: readonly Write[] = [
  (text) => encodeURIComponent(text),
  (text) => JSON.stringify(text).slice(1, -1),
  (text) => new URLSearchParams({ '': text }).toString().slice(1),
  (text) => Buffer.from(text).toString('base64'),
  (text) => Buffer.from(text).toString('hex'),
  (text) => text.toUpperCase(),
  (text) => text.replace(/(.{4})/g, '$1\n  '),
  (text) => text.replace(/(.{6})/g, '$1\r\n'),
  some((character) => (character < '\x7f' ? hex(character, 2, '%') : character)),
  some((character) => hex(character, 4, '\\u')),
  some((character) => `\\${character}`),
  some((character) => `&#${character.charCodeAt(0)};`),
  some((character) => `&#x${character.charCodeAt(0).toString(16)};`),
  (text) => quotedPrintable(Buffer.from(text), 76),
  (text) => Buffer.from(text).toString('latin1'),
  (text) => Buffer.from(text, 'latin1').toString('base64'),
];
const around = ['', 'x', '100%', 'DOMAIN\\', ' words ', '\\\\', '%25', 'a\nb', '{"a":"', '+', '%4', '\\u00'];

describe('a secret that the exhaustive search finds is masked', () => {
  for (const secret of secrets)
    test(`\`${secret}\` in a thousand writings`, () => {
      const roll = dice(secret.length);
      const mask = makeMask([secret]);
      let found = 0;
      for (let round = 0; round < runsOf(1_000); round += 1) {
        let text = secret;
        for (let depth = roll(4); depth > 0; depth -= 1)
          text = writers[roll(writers.length)]?.(text, roll) ?? text;
        text = `${around[roll(around.length)] ?? ''}${text}${around[roll(around.length)] ?? ''}`;
        if (!standsSlowly([secret], text)) continue;
        found += 1;
        const masked = mask.text(text);
        assert.match(masked, /\[redacted\]/, JSON.stringify(text));
        assert.ok(!standsSlowly([secret], masked), `${JSON.stringify(text)}: ${JSON.stringify(masked)}`);
      }
      assert.ok(found > runsOf(300), `only ${found}`);
    });
});

describe('a secret with characters that pages, mails and old programs write otherwise is masked', () => {
  const each = (
    text: string,
    write: (code: number, character: string) => string,
    of = /[^A-Za-z0-9]/g,
  ): string => text.replace(of, (character) => write(character.charCodeAt(0), character));
  const names: Readonly<Record<string, string>> = {
    '=': 'equals',
    ü: 'uuml',
    '&': 'amp',
    '+': 'plus',
    '/': 'sol',
  };
  const latin = (text: string): Buffer => Buffer.from(text, 'latin1');
  const misread = (text: string): string => Buffer.from(text).toString('latin1');
  const writings: readonly [string, (text: string) => string][] = [
    ['as decimal entities', (text) => each(text, (code) => `&#${code};`)],
    ['as decimal entities with zeros before', (text) => each(text, (code) => `&#0000${code};`)],
    ['as decimal entities, each character', (text) => each(text, (code) => `&#${code};`, /./g)],
    [
      'as entities without their semicolons',
      (text) => each(text, (code) => `&#${code}`, /[^A-Za-z0-9](?!\d)/g),
    ],
    ['as hexadecimal entities', (text) => each(text, (code) => `&#x${code.toString(16).toUpperCase()};`)],
    [
      'as entities with a name',
      (text) => each(text, (code, character) => `&${names[character] ?? `#${code}`};`),
    ],
    ['as entities, written twice', (text) => each(text, (code) => `&amp;#X${code.toString(16)};`)],
    ['as entities in JSON', (text) => each(text, (code) => `\\u0026#${code};`)],
    ['as quoted-printable', (text) => quotedPrintable(Buffer.from(text), 1_000)],
    ['as quoted-printable in short lines', (text) => quotedPrintable(Buffer.from(text), 7)],
    [
      'as quoted-printable in short lines of a stream of events',
      (text) => `data: ${quotedPrintable(Buffer.from(text), 7).replaceAll('\n', '\ndata: ')}`,
    ],
    [
      'as quoted-printable with the blanks of mail in a stream of events',
      (text) =>
        `data:${quotedPrintable(Buffer.from(text), 7).replaceAll('=\r\n', '= \r\n').replaceAll('\n', '\ndata:')}`,
    ],
    ['as quoted-printable Latin-1', (text) => quotedPrintable(latin(text), 1_000)],
    [
      'as quoted-printable in JSON',
      (text) => JSON.stringify(quotedPrintable(Buffer.from(text), 9)).slice(1, -1),
    ],
    ['as UTF-8 read as Latin-1', misread],
    ['as UTF-8 read as Latin-1, in a page', (text) => each(misread(text), (code) => `&#${code};`)],
    ['as UTF-8 read as Windows does', (text) => new TextDecoder('windows-1252').decode(Buffer.from(text))],
    ['as base64 of Latin-1', (text) => latin(text).toString('base64')],
    ['as base64url of Latin-1 in the middle', (text) => latin(`xy${text}z`).toString('base64url')],
    ['as hex of Latin-1', (text) => latin(text).toString('hex')],
    [
      'as percent escapes of Latin-1',
      (text) => each(text, (code) => `%${code.toString(16).padStart(2, '0')}`),
    ],
  ];
  for (const secret of ['k3y=va/lue+tail==', 'Zürich-Schlüssel-7', 'PÜ=ÄÖ&ß-cafe'])
    for (const [how, write] of writings)
      test(`\`${secret}\` ${how}`, () => {
        const text = `before ${write(secret)} after`;
        const masked = makeMask([secret]).text(text);
        assert.match(masked, /\[redacted\]/, text);
        assert.ok(!standsSlowly([secret], masked), masked);
      });

  for (const secret of ['Schlüssel-Ω-7€x', 'пароль-日本-😀', 'k3y-with-one-€'])
    for (const order of ['little', 'big'])
      for (const [how, write] of [
        ['base64', (bytes: Buffer) => bytes.toString('base64')],
        [
          'base64 in the middle of more',
          (bytes: Buffer) => Buffer.from(`x${bytes.toString('latin1')}y`, 'latin1').toString('base64'),
        ],
        ['hex', (bytes: Buffer) => bytes.toString('hex').toUpperCase()],
      ] as const)
        test(`\`${secret}\` as UTF-16 (${order} end first) in ${how}`, () => {
          const bytes = Buffer.from(secret, 'utf16le');
          const text = `before ${write(order === 'big' ? bytes.swap16() : bytes)} after`;
          assert.match(makeMask([secret]).text(text), /^before \S{0,4}\[redacted\]\S{0,4} after$/);
        });

  test('with a blank where a line of a stream of events begins', () => {
    const masked = makeMask(['my own pass']).text('data: token: my=\ndata:  own=\ndata:  pass');
    assert.match(masked, /\[redacted\]/);
  });

  test('with blanks, where its lines were broken', () => {
    const secret = 'abcd efgh ijkl mnop';
    const { text } = makeMask([secret, 'Zwei Wört\tund\nmehr']);
    const utf16 = Buffer.from(secret, 'utf16le');
    for (const written of [
      'bad password abcd\nefgh ijkl mnop',
      'bad password abcd efgh\n    ijkl mnop',
      'bad password abcd efgh ijkl\r\ndata: mnop',
      'bad password abcd ef\ngh ijkl mnop',
      'bad password Zwei\nWört und mehr',
      `bad password ${'Zwei Wört'.normalize('NFD')}\n  und mehr`,
      `bad password ${utf16.toString('base64')}`,
      `bad password ${utf16.toString('base64').replace(/(.{16})/g, '$1\n')}`,
      `bad password ${Buffer.from(secret, 'utf16le').swap16().toString('base64')}`,
      `bad password ${Buffer.from(secret)
        .toString('base64')
        .replace(/(.{16})/g, '$1\n  ')}`,
    ]) {
      const shown = text(written);
      assert.ok(shown === '[redacted]' || /^bad password \[redacted\]\S{0,4}$/.test(shown), shown);
    }
    assert.equal(text('efgh abcd\nmnop'), 'efgh abcd\nmnop');
  });

  test('with fewer than six characters besides its blanks, only as it is', () => {
    const { text } = makeMask(['a b c d']);
    assert.equal(text('say a b c d.\nabcd'), 'say [redacted].\nabcd');
    assert.equal(text('say a%20b%20c%20d.'), 'say [redacted].');
    assert.equal(text('say a b\nc d.'), 'say a b\nc d.');
  });

  test('among very many, at the cut of a long text', () => {
    const secrets = Array.from({ length: 20_000 }, (_, at) => `setting-${at}`);
    const words = [...secrets, ...Array.from({ length: 180_000 }, (_, at) => `${at}`.padStart(8, '0'))];
    assert.equal(brokenEnd('a text that ends with sett', words), 4);
    assert.equal(brokenStart('ting-19999 and more', words), 10);
  });

  test('and what is none stays as it is', () => {
    const mask = makeMask(['k3y=va/lue+tail==', 'Zürich-Schlüssel-7']);
    for (const text of [
      '&#61;',
      'a=3Db',
      '&;&#;&#x;&#99999999;&nobody;&',
      '=',
      '=3',
      'Ã¼',
      'x=\r\ny',
      '%fc%',
      '&#61',
    ])
      assert.equal(mask.text(text), text);
  });

  test('also beside bytes that are no text in its escapes', () => {
    const mask = makeMask(['Zürich-Schlüssel-7']);
    for (const odd of ['%ff', '%c3', '%f0%9f', '%80%80'])
      assert.equal(mask.text(`${odd}Z%c3%bcrich%2dSchl%c3%bcssel-7${odd}`), '[redacted]');
  });
});

describe('an answer is masked', () => {
  const secret = 'S3CR3T-planted-tgt-value-0001';
  const odd: readonly Json[] = Array.from({ length: 72_000 }, () => '%2525\\+\n');

  test('and is itself where it has no secret, so that nothing is made of it', async () => {
    const mask = makeMask([secret]);
    for (const value of [odd, odd.join(' '), { a: [1e21, null, true, { b: '%41' }] }, 7, ''] as Json[])
      assert.equal((await mask.json(value, now)).value, value);
    assert.equal((await makeMask([]).json(odd, now)).value, odd);
  });

  test('wherever in it the secret is written, beside texts that are none', async () => {
    const written = encodeURIComponent(secret).replaceAll('-', '%252d');
    const value = [...odd.slice(0, 500), { [secret]: 1, [written]: { 'a/b': [written, `x ${secret}`] } }];
    const masked = await makeMask([secret]).json(value, now);
    assert.deepEqual(masked.value, [
      ...odd.slice(0, 500),
      { '[redacted]': 1, '[redacted] 2': { 'a/b': ['[redacted]', 'x [redacted]'] } },
    ]);
    const below = '/500/[redacted] 2';
    assert.deepEqual(masked.at.map(pointerOf), [
      '/500/[redacted]',
      below,
      `${below}/a~1b/0`,
      `${below}/a~1b/1`,
    ]);
  });

  test('in each of ten thousand names', async () => {
    const value = Object.fromEntries(odd.slice(0, 10_000).map((_, at) => [`${secret}%2${at}\\u`, at]));
    const masked = await makeMask([secret]).json(value, now);
    assert.equal(masked.at.length, 10_000);
    assert.equal(new Set(Object.keys(masked.value as object)).size, 10_000);
  });

  test('as a number', async () => {
    const masked = await makeMask(['1234567']).json([1234567, 123456, 12345678, -0], now);
    assert.deepEqual(masked.value, ['[redacted]', 123456, '[redacted]8', -0]);
  });

  test('with a turn for everybody else all along: between values, and between looks through one text', async () => {
    const turnsFor = async (value: Json): Promise<number> => {
      let turns = 0;
      await makeMask([secret]).json(value, () => {
        turns += 1;
        return now();
      });
      return turns;
    };
    const values = Array.from({ length: 6_400 }, (_, at) => `value ${at}`);
    assert.ok((await turnsFor(values)) >= 100);
    assert.ok((await turnsFor([...values, secret])) >= 200);
    assert.ok((await turnsFor('%2525\\\\u0025 \n'.repeat(1_000))) >= 6);
  });
});

describe('what is told of a long text is masked', () => {
  const secret = 'S3CR3T-planted-tgt-value-0001';
  const told = makeMask([secret]);

  test('as if all of it had been', () => {
    assert.equal(told.start(`${secret} ${'x'.repeat(100_000)}`, 20), '[redacted] xxxxxx...');
    assert.equal(told.end(`${'x'.repeat(100_000)} ${secret}`, 20), '...xxxxxx [redacted]');
  });

  test('where its writer ended in the middle of one, as it is and as an address has it', () => {
    const other = makeMask(['S3CR3T/planted+other=value']);
    for (const shown of [other.start, other.end]) {
      assert.equal(shown('login with S3CR3T/planted+ot', 500), 'login with [redacted]');
      assert.equal(shown('login with S3CR3T%2Fplanted%2', 500), 'login with [redacted]');
      assert.equal(shown('login with S3C', 500), 'login with S3C');
    }
  });

  test('of two texts each as far as of one alone, however long the other is', () => {
    const [x, y] = ['x'.repeat(100_000), 'y'.repeat(100_000)];
    assert.deepEqual(told.starts(x, y, 20), [told.start(x, 20), told.start(y, 20)]);
    assert.deepEqual(told.starts(x, `no ${secret}`, 20), [told.start(x, 20), 'no [redacted]']);
    assert.deepEqual(told.starts(`${secret} ${x}`, y, 20), ['[redacted] xxxxxx...', told.start(y, 20)]);
    assert.deepEqual(told.starts('a\0b', 'c\0d', 20), ['a\0b', 'c\0d']);
  });

  test('where a secret is spread over two texts, whichever of them is cut', () => {
    const long = Array.from({ length: 3_000 }, (_, at) => ((at * 7_919) % 9_973).toString(36)).join('');
    for (const spread of [secret, long])
      for (const at of [1, 5, 20, spread.length - 20, spread.length - 5, spread.length - 1])
        for (const before of [0, 400, 900, 4_990, 5_020, 90_000])
          for (const behind of [0, 90_000]) {
            const first = 'x'.repeat(before) + spread.slice(0, at);
            const second = spread.slice(at) + 'y'.repeat(behind);
            const shown = makeMask([spread]).starts(first, second, 500).join('');
            for (let of = 0; of + 6 <= spread.length; of += 2)
              assert.ok(!shown.includes(spread.slice(of, of + 6)), `${at} ${before} ${behind}: ${shown}`);
          }
  });

  test('where it is nothing but secrets, up to where it was cut', () => {
    for (let extra = 0; extra < 30; extra += 1) {
      const text = 'x'.repeat(extra) + secret.repeat(10_000);
      for (const shown of [told.start(text, 500), told.end(text, 500)])
        for (let at = 0; at + 4 <= secret.length; at += 1)
          assert.ok(!shown.includes(secret.slice(at, at + 4)), shown);
    }
  });
});

describe('of an answer whose names are masked', () => {
  const secret = 'tok-4711-secret';
  const big = '12345678901234567890';
  const placeOf = (...steps: (string | number)[]): Place =>
    steps.reduce<Place>((within, step) => ({ within, step }), root);

  test('each place is known under its new name, also where two names mask alike', async () => {
    const upper = secret.toUpperCase();
    const value = { [secret]: { a: 1 }, [upper]: { 'b/c': [{ [`x ${secret}`]: big }] }, plain: big };
    const within = placeOf(upper);
    const beside = { within: { within, step: 'b/c' }, step: 0 };
    const places = [placeOf(secret, 'a'), within, { within: beside, step: `x ${secret}` }, placeOf('plain')];
    const { exact } = await makeMask([secret]).json(value, now, [root, ...places]);
    assert.deepEqual(exact.map(pointerOf), [
      '',
      '/[redacted]/a',
      '/[redacted] 2',
      '/[redacted] 2/b~1c/0/x [redacted]',
      '/plain',
    ]);
  });

  test('a place whose name was `[redacted]` before keeps its value', async () => {
    const value = { [secret]: 1, '[redacted]': big };
    const masked = await makeMask([secret]).json(value, now, [placeOf('[redacted]')]);
    assert.deepEqual(masked.value, { '[redacted]': 1, '[redacted] 2': big });
    assert.deepEqual(masked.exact.map(pointerOf), ['/[redacted] 2']);
  });
});
