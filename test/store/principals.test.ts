import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makePool } from '../../src/db/index.js';
import { ensurePrincipal } from '../../src/store/people/keys.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

const know = (id: string): ReturnType<typeof ensurePrincipal> =>
  ensurePrincipal(database.pool, { id, kind: 'human' });

test('a principal keeps its kind', async () => {
  const kinds = await Promise.all([know('bo'), ensurePrincipal(database.pool, { id: 'bo', kind: 'agent' })]);
  assert.deepEqual(kinds.map(({ status }) => status).sort(), ['kind_conflict', 'ok']);
});

test('nobody becomes known in a second spelling, and goes on in the first', async () => {
  const known = 'Ann.Lée@example.com';
  assert.deepEqual(await know(known), { status: 'ok' });
  const others = [
    'ann.lée@example.com',
    'ANN.LÉE@EXAMPLE.COM',
    'Ann.Le\u0301e@example.com',
    'ａｎｎ.lée@example.com',
    ' Ann.Lée@example.com ',
    'Ann.Lée@example.com\u00a0',
  ];
  for (const id of others) assert.deepEqual(await know(id), { status: 'spelling_conflict', known }, id);
  assert.deepEqual(await know(known), { status: 'ok' });
  assert.deepEqual(await know('ann.lee@example.com'), { status: 'ok' }, 'another letter is another name');
  // Its folded form is longer than what a tree's index takes.
  const long = Array.from({ length: 200 }, (_, n) =>
    n % 3 === 0 ? '\ufdfa' : String.fromCodePoint(0x4e00 + n * 7),
  );
  assert.deepEqual(await know(long.join('')), { status: 'ok' });
});

test('of many spellings that two processes bring at once, one becomes known', async () => {
  const other = makePool({ url: database.url, applicationName: 'another process', max: 10 });
  try {
    const spellings = Array.from({ length: 16 }, (_, n) =>
      [...'cleo'].map((letter, at) => ((n >> at) % 2 === 1 ? letter.toUpperCase() : letter)).join(''),
    );
    const all = await Promise.all(
      spellings.map((id, n) => ensurePrincipal(n % 2 === 0 ? database.pool : other, { id, kind: 'human' })),
    );
    const { rows } = await database.pool.query<{ id: string }>(
      `select id from principal where lower(id) = 'cleo'`,
    );
    assert.equal(rows.length, 1);
    for (const [at, inserted] of all.entries())
      assert.deepEqual(
        inserted,
        spellings[at] === rows[0]?.id
          ? { status: 'ok' }
          : { status: 'spelling_conflict', known: rows[0]?.id },
      );
  } finally {
    await other.end();
  }
});

test('those of an earlier version go on in their spellings, and are compared with who is new', async () => {
  await database.pool.query(
    `insert into principal (id, kind, created_at) values ('Dan', 'human', now() - interval '1 hour'), ('dan', 'human', now()), ('DÖRTE', 'human', now())`,
  );
  for (const id of ['Dan', 'dan', 'DÖRTE']) assert.deepEqual(await know(id), { status: 'ok' }, id);
  assert.deepEqual(await know('DAN'), { status: 'spelling_conflict', known: 'Dan' });
  assert.deepEqual(await know('dörte'), { status: 'spelling_conflict', known: 'DÖRTE' });
});
