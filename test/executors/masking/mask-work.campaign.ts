// What looking for secrets costs: so many looks at each character, whatever a target writes and however long the secrets
// are. Characters are counted, and no time is taken.
import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { makeMask, makeMaskIn } from '../../../src/executors/masking/mask.js';
import { drain } from '../../../src/executors/masking/find.js';
import { partsOf } from '../../../src/executors/masking/secrets/parts.js';
import { programArgs } from '../../../testing/programs.js';

const now = (): Promise<void> => Promise.resolve();
const size = 200_000;
const filled = (unit: string): string => unit.repeat(Math.ceil(size / unit.length)).slice(0, size);

/** The same each time, and of no pattern. */
function noise(length: number): string {
  const blocks = Array.from({ length: Math.ceil(length / 43) }, (_, at) =>
    createHash('sha256').update(`${at}`).digest('base64url'),
  );
  return blocks.join('').slice(0, length);
}

const secrets: readonly (readonly [string, string])[] = [
  ['of 64 characters', noise(64)],
  ['of 2 KB', noise(2_048)],
  ['of 8 KB', noise(8_192)],
  ['of 8 KB that repeats itself', `${'ab'.repeat(4_096)}!`],
  ['of 8 KB with characters that all write otherwise', noise(8_192).replace(/[a-m]/g, '"')],
  ['of 500 settings', Array.from({ length: 500 }, (_, at) => `key=${noise(9)}${at}`).join(' ')],
];
const texts: readonly (readonly [string, (secret: string) => string])[] = [
  ['of escapes in escapes', () => filled('%2525\\\\u0025 \n=3D&amp;#37;+')],
  ['of bytes that are no UTF-8', () => filled('%ff%fe%c3%28')],
  ['of such bytes in mail', () => filled('=ff=fe=c3=28')],
  ['of entities that do not end', () => filled('&#0000000000&#x')],
  ['of what may be base64', () => filled(noise(5_000))],
  ['of beginnings of the secret', (secret) => filled(secret.slice(0, -1))],
  ['of the first characters of the secret', (secret) => filled(secret.slice(0, 4))],
];

/** What is read to tell 500 characters, looked at in every order of undoing; and each writing of a secret once or twice. */
const mostLooksToTell = 3_000_000;
const mostLooksAtEach = 400;

for (const [whose, secret] of secrets)
  describe(`beside a secret ${whose}`, () => {
    for (const [what, write] of texts)
      test(`a text ${what} is looked through a bounded number of times`, async () => {
        const text = write(secret);
        let looked = 0;
        const mask = makeMask([secret], (units) => (looked += units));
        for (const tell of [mask.start, mask.end]) {
          looked = 0;
          tell(text, 500);
          assert.ok(looked < mostLooksToTell, `${looked} to tell 500 characters`);
        }
        let [most, since] = [0, 0];
        looked = 0;
        await mask.json(text, () => {
          [most, since] = [Math.max(most, looked - since), looked];
          return now();
        });
        assert.ok(looked < mostLooksAtEach * size, `${looked / size} looks at each`);
        // Between two turns it is undone once, or one piece of it is looked through.
        assert.ok(most < 4 * size, `${most / size} looks at each between two turns`);
      });
  });

test('the writings of long secrets are made in turns', async () => {
  let turns = 0;
  await makeMaskIn(() => {
    turns += 1;
    return now();
  }, [Array.from({ length: 5_000 }, (_, at) => `key=${noise(9)}${at}`).join(' ')]);
  assert.ok(turns > 1_000, `${turns}`);
});

test('an answer with much below a long name takes no more memory than another', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--max-old-space-size=64',
    ...programArgs('test/executors/fixtures/long-names.ts'),
  ]);
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [
      { exact: [], exactCount: 6_000 },
      { exact: [], exactCount: 6_000, masked: [], maskedCount: 1 },
      { exact: [], exactCount: 3_000, masked: [], maskedCount: 3_000 },
    ],
  );
});

test('beside very many secrets, a text is told after a look at each, and their writings are made in turns', async () => {
  const lines = noise(120_000).match(/.{30}/g) ?? [];
  const secrets = Array.from({ length: 28 }, (_, file) =>
    lines.slice(140 * file, 140 * (file + 1)).join('\n'),
  );
  let turns = 0;
  await makeMaskIn(() => {
    turns += 1;
    return now();
  }, secrets);
  assert.ok(turns > 4_000, `${turns}`);
  let looked = 0;
  const mask = makeMask(secrets, (units) => (looked += units));
  for (const tell of [mask.start, mask.end]) {
    looked = 0;
    tell(filled('plain words, nothing else; '), 16_384);
    assert.ok(looked < 1_000_000, `${looked}`);
  }
});

describe('of one secret of 64 KB, which is taken apart, others have a turn every few words', () => {
  const long = (write: (at: number) => string, by: string): string =>
    Array.from({ length: 3_000 }, (_, at) => write(at)).join(by);
  for (const [what, secret] of [
    ['words', long((at) => `word${at}`, ' ')],
    ['addresses', long((at) => `https://u${at}:p${at}word@host/x?a=${at}`, ' ')],
    ['a file of variables', `DB_HOST=erp\n${long((at) => `NAME_${at}=value${at}x`, '\n')}`],
    ['credentials in base64', long((at) => Buffer.from(`user${at}:word${at}`).toString('base64'), ' ')],
    ['JSON', JSON.stringify(Array.from({ length: 3_000 }, (_, at) => ({ auth: `u${at}:word${at}` })))],
  ] as const)
    test(what, () => {
      const steps = partsOf(secret);
      let turns = 0;
      for (let step = steps.next(); step.done !== true; step = steps.next()) turns += 1;
      assert.ok(turns >= 3_000, `${turns}`);
    });
});

test('brackets around a secret are looked at once each: with the square of them this does not end', () => {
  const brackets = ')'.repeat(2_000_000);
  assert.ok(drain(partsOf(`key ${brackets}x`)).includes(`${brackets}x`));
  assert.ok(drain(partsOf(`key [{(Zq7kxLm9${brackets}`)).includes('Zq7kxLm9'));
});

test('JSON in a line of settings in JSON takes as many turns more at each level', () => {
  const turnsOf = (levels: number): number => {
    let secret = 'Zq7kxLm9';
    for (let level = 0; level < levels; level += 1)
      secret = `host=x\nK=${JSON.stringify({ a: secret })}\nZ=y`;
    const steps = partsOf(secret);
    let turns = 0;
    for (let step = steps.next(); step.done !== true; step = steps.next()) turns += 1;
    return turns;
  };
  assert.ok(turnsOf(7) - turnsOf(6) < 2 * (turnsOf(2) - turnsOf(1)), `${turnsOf(1)} ${turnsOf(7)}`);
});

test('a setting with a long name is no longer to look at than a secret without one', () => {
  const isKnown = mock.method(Set.prototype, 'has');
  try {
    drain(partsOf(`DB_HOST=erp\n${'a_'.repeat(5_000)}=Zq7kxLm9`));
    assert.ok(isKnown.mock.callCount() < 1_000, `${isKnown.mock.callCount()}`);
  } finally {
    isKnown.mock.restore();
  }
});
