// Each way of writing that is looked for in a text as it is: only the secret is replaced, and not all of the text.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeMask } from '../../../src/executors/masking/mask.js';

describe('a secret is replaced in place, and what is around it is kept', () => {
  const special = 'k3y "va/lue" <a&b\'s> = 1\\2';
  const json = (text: string): string => JSON.stringify(text).slice(1, -1);
  const page = (text: string, apostrophe: string): string =>
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", apostrophe);
  const german = 'Zürich-Schlüßel-7 à';
  const misread = Buffer.from(german).toString('latin1');
  const cases: readonly (readonly [string, string, string])[] = [
    ['as it is', special, special],
    ['in JSON', special, json(special)],
    ['in JSON in JSON', special, json(json(special))],
    ['in an address', special, encodeURIComponent(special)],
    ['in a form', special, new URLSearchParams({ '': special }).toString().slice(1)],
    ['in a page, with a decimal apostrophe', special, page(special, '&#39;')],
    ['in a page, with a hexadecimal apostrophe', special, page(special, '&#x27;')],
    ['in a page, with an apostrophe by name', special, page(special, '&apos;')],
    ['in capitals', 'пароль-секрет', 'ПАРОЛЬ-СЕКРЕТ'],
    ['in small letters', 'Пароль-Секрет', 'пароль-секрет'],
    ['in the normal form D', german, german.normalize('NFD')],
    ['in the normal form C', german.normalize('NFD'), german],
    ['without its line breaks and blanks', 'ab cd\n\tef gh', 'abcdefgh'],
    ['as UTF-8 that was read as Latin-1', german, misread],
    ['as UTF-8 that Windows read', german, new TextDecoder('windows-1252').decode(Buffer.from(german))],
    ['as hex', special, Buffer.from(special).toString('hex')],
    ['as hex of Latin-1', german, Buffer.from(german, 'latin1').toString('hex')],
    ['as hex of UTF-16', 'пароль', Buffer.from('пароль', 'utf16le').toString('hex')],
    [
      'as hex of UTF-16 of the other order',
      'пароль',
      Buffer.from('пароль', 'utf16le').swap16().toString('hex'),
    ],
  ];
  for (const [how, secret, written] of cases)
    test(how, () =>
      assert.equal(makeMask([secret]).text(`before ${written} behind`), 'before [redacted] behind'),
    );

  const packed: readonly (readonly [string, string, BufferEncoding])[] = [
    ['UTF-8', special, 'utf8'],
    ['Latin-1', german, 'latin1'],
    ['UTF-16', 'пароль', 'utf16le'],
  ];
  for (const [of, secret, encoding] of packed)
    for (const [how, name] of [
      ['base64', 'base64'],
      ['base64url', 'base64url'],
    ] as const)
      for (const before of ['', 'x', 'xy'])
        test(`as ${how} of ${of}, behind ${before.length} bytes`, () => {
          const bytes = Buffer.concat([Buffer.from(before), Buffer.from(secret, encoding)]);
          const shown = makeMask([secret]).text(`before ${bytes.toString(name)} behind`);
          assert.match(shown, /^before \S{0,4}\[redacted\]\S{0,4} behind$/);
        });
});
