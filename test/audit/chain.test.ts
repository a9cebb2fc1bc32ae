import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, mock, test } from 'node:test';
import { canonical } from '../../src/model/values/canonical.js';
import { newId } from '../../src/model/names/ids.js';
import type { Fact } from '../../src/model/records.js';
import { AuditConflict, appendRun, makeServiceChain, verifyChain } from '../../src/audit/index.js';
import { withTransaction } from '../../src/db/index.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { fact, scope } from './facts.js';

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

function append(run: string, facts: readonly Fact[]): Promise<{ size: number; head: string }> {
  return withTransaction(database.pool, (tx) => appendRun(tx, scope(run), facts));
}

interface Stored {
  readonly runseq: number;
  readonly body: Buffer;
  readonly hash: Buffer;
}

async function stored(chain: string): Promise<Stored[]> {
  const { rows } = await database.pool.query<Stored>(
    'select runseq, body, hash from audit_record where chain = $1 order by seq',
    [chain],
  );
  return rows;
}

function envelopeOf(row: Stored | undefined): Record<string, unknown> {
  assert.ok(row !== undefined);
  return JSON.parse(row.body.toString('utf8')) as Record<string, unknown>;
}

const leaf = (body: Buffer): string =>
  `sha256:${createHash('sha256').update('\0').update(body).digest('hex')}`;

test('records are canonical bytes, linked by leaf hash from a first whose prev is null', async () => {
  const run = newId('run');
  const { size, head } = await append(run, [fact('a'), fact('b'), fact('c')]);
  const rows = await stored(run);
  assert.equal(size, 3);
  let prev: string | null = null;
  for (const [at, row] of rows.entries()) {
    const body = envelopeOf(row);
    assert.equal(canonical(body), row.body.toString('utf8'));
    assert.deepEqual(
      [body['runseq'], body['prev'], body['run'], body['chain'], body['tenant'], body['v']],
      [at, prev, run, run, 'default', 1],
    );
    prev = leaf(row.body);
    assert.equal(`sha256:${row.hash.toString('hex')}`, prev);
  }
  assert.equal(head, prev);
  assert.deepEqual(await verifyChain(database.pool, run), { ok: true, records: 3 });
});

test('twenty writers at once leave one gapless chain, in the order of the log', async () => {
  const run = newId('run');
  await Promise.all(Array.from({ length: 20 }, (_, n) => append(run, [fact(`${n}.0`), fact(`${n}.1`)])));
  assert.deepEqual(
    (await stored(run)).map((row) => row.runseq),
    Array.from({ length: 40 }, (_, at) => at),
  );
  assert.deepEqual(await verifyChain(database.pool, run), { ok: true, records: 40 });
});

test('writers who all take the chain for new leave one chain, and a fact that one of them wrote is left as it is', async () => {
  const run = newId('run');
  const asFirst = (facts: readonly Fact[]): Promise<unknown> =>
    withTransaction(database.pool, (tx) => appendRun(tx, scope(run), facts, { isFirst: true }));
  await Promise.all(Array.from({ length: 10 }, (_, n) => asFirst([fact('same'), fact(`${n}`)])));
  assert.deepEqual(await verifyChain(database.pool, run), { ok: true, records: 11 });
});

test('a retried append is one record, though its clock and its stored payloads are others', async () => {
  const run = newId('run');
  const ref = { role: 'args', bytes: 2, media: 'application/json', masked: [] } as const;
  const first = await append(run, [fact('a', { refs: [{ ...ref, commit: 'one', payload: 'pay_1' }] })]);
  const again = await append(run, [
    fact('a', { time: '2026-11-21T09:00:00.000Z', refs: [{ ...ref, commit: 'two', payload: 'pay_2' }] }),
  ]);
  assert.deepEqual(again, first);
  assert.equal((await stored(run)).length, 1);
});

test('two processes that retry the same append at once write one record', async () => {
  const run = newId('run');
  const both = await Promise.all([append(run, [fact('a')]), append(run, [fact('a')])]);
  assert.deepEqual(both[0], both[1]);
  assert.equal((await stored(run)).length, 1);
});

test('the same key with another fact raises an alarm and writes nothing', async () => {
  const run = newId('run');
  await append(run, [fact('a', { data: { amount: 10 } })]);
  const alarm = mock.method(console, 'error', () => undefined);
  await assert.rejects(append(run, [fact('b'), fact('a', { data: { amount: 60_000 } })]), AuditConflict);
  assert.match(String(alarm.mock.calls[0]?.arguments[0]), /ALARM/);
  alarm.mock.restore();
  assert.equal((await stored(run)).length, 1);
});

test('the closing record carries count and head, and nothing follows it', async () => {
  const run = newId('run');
  const { head } = await append(run, [fact('a'), fact('b')]);
  const end = fact('end', { type: 'run.completed' });
  await append(run, [end]);
  const rows = await stored(run);
  assert.deepEqual(envelopeOf(rows[2])['data'], { count: 2, head, state: 'start' });
  await assert.rejects(append(run, [fact('late')]), /is closed: `transition.requested`/);
  assert.equal((await append(run, [end])).size, 3, 'a retry of what is there is no append');
  await assert.rejects(append(newId('run'), [end, fact('late')]), /is closed/);
});

test('data is strings and integers, whatever the writer gave', async () => {
  const run = newId('run');
  const data = {
    rate: 0.1,
    big: 2 ** 60,
    yes: true,
    nothing: null,
    long: 'x'.repeat(5_000),
    nested: { list: [1.5, null, '\ud800'] },
    ['__proto__']: 'own',
    nul: 'a\0b',
  };
  await append(run, [fact('a', { data })]);
  const body = envelopeOf((await stored(run))[0]);
  assert.deepEqual(
    body['data'],
    JSON.parse(
      `{"rate":"0.1","big":"1152921504606847000","yes":"true","long":"${'x'.repeat(1_999)}…","nested":{"list":["1.5","","\ufffd"]},"__proto__":"own","nul":"a\\u0000b"}`,
    ),
  );
  assert.equal((await verifyChain(database.pool, run)).ok, true);
});

test('an envelope stays under 60,000 bytes, and one that would not keeps the digest of its data', async () => {
  const run = newId('run');
  const texts = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}`, 'ü'.repeat(1_900)]));
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n]));
  await append(run, [
    fact('texts', { data: texts }),
    fact('many', { data: many }),
    fact('deep', { data: { deep: nested(3_000) } }),
  ]);
  const rows = await stored(run);
  assert.ok(rows.every((row) => row.body.length < 60_000));
  assert.equal(Object.keys(envelopeOf(rows[0])['data'] as object).length, 100);
  assert.match(JSON.stringify(envelopeOf(rows[1])['data']), /"digest":"sha256:[0-9a-f]{64}"/);
});

function nested(depth: number): readonly never[] {
  let value: unknown[] = [];
  for (let at = 0; at < depth; at += 1) value = [value];
  return value as never[];
}

describe('the verifier names what was changed by somebody who can switch the triggers off', () => {
  let run: string;
  before(async () => {
    run = newId('run');
    await append(run, [fact('a'), fact('b'), fact('c'), fact('end', { type: 'run.completed' })]);
  });

  /** Changed, verified, and put back. */
  async function problemAfter(change: string): Promise<string> {
    const client = await database.pool.connect();
    try {
      await client.query(
        'begin; set local role none; set local session_replication_role = replica; alter table audit_record disable trigger user; alter table audit_chain disable trigger user',
      );
      await client.query(change);
      const report = await verifyChain({ query: client.query.bind(client) } as never, run);
      assert.equal(report.ok, false);
      return report.problem ?? '';
    } finally {
      await client.query('rollback');
      client.release();
    }
  }
  const record = (at: number): string => `chain = '${run}' and runseq = ${at}`;
  const rehash = `hash = sha256('\\x00'::bytea || `;

  test('one byte', async () => {
    const at = `set_byte(body, 40, get_byte(body, 40) # 1)`;
    assert.match(
      await problemAfter(`update audit_record set body = ${at} where ${record(1)}`),
      /^record 1 of chain .*: its bytes do not have the hash/,
    );
    assert.match(
      await problemAfter(
        `update audit_record set body = convert_to(replace(convert_from(body, 'utf8'), 'agent', 'human'), 'utf8'), ${rehash} convert_to(replace(convert_from(body, 'utf8'), 'agent', 'human'), 'utf8')) where ${record(1)}`,
      ),
      /^record 2 of chain .*: it does not follow/,
    );
  });
  test('the last record, whose hash was fitted', async () => {
    const forged = `convert_to(replace(convert_from(body, 'utf8'), '"attempt"', '"attempt"'), 'utf8') || ' '::bytea`;
    assert.match(
      await problemAfter(`update audit_record set body = ${forged}, ${rehash} ${forged}) where ${record(3)}`),
      /^record 3 of chain .*: its bytes are not canonical/,
    );
  });
  test('one record removed, in the middle or at the end', async () => {
    assert.match(
      await problemAfter(`delete from audit_pending; delete from audit_record where ${record(1)}`),
      /^record 1 of chain .*: it is missing/,
    );
    assert.match(
      await problemAfter(`delete from audit_pending; delete from audit_record where ${record(3)}`),
      /records from 3 on are missing/,
    );
  });
  test('the end cut off, its head and size fitted: the chain is said to be open again', async () => {
    const cut = `delete from audit_pending; delete from audit_record where ${record(3)}; update audit_chain set size = 3, head = (select hash from audit_record where ${record(2)}) where chain = '${run}'`;
    const client = await database.pool.connect();
    try {
      await client.query(
        'begin; set local role none; set local session_replication_role = replica; alter table audit_record disable trigger user; alter table audit_chain disable trigger user',
      );
      await client.query(cut);
      const report = await verifyChain({ query: client.query.bind(client) } as never, run);
      assert.match(report.problem ?? '', /is closed and its last record does not close it/);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
  test('a query column that says something else than the bytes', async () => {
    assert.match(
      await problemAfter(`update audit_record set type = 'guard.evaluated' where ${record(0)}`),
      /^record 0 of chain .*: its column `type`/,
    );
  });
});

describe('the service chain', () => {
  test('calls at the same time share transactions and leave one gapless chain', async () => {
    const chain = makeServiceChain({ pool: database.pool, kind: 'api' });
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => chain.append([fact(`call ${n}`, { type: 'api.called' })])),
    );
    assert.deepEqual(await verifyChain(database.pool, chain.id), { ok: true, records: 50 });
    const { rows } = await database.pool.query<{ writes: number }>(
      `select count(distinct xmin::text)::integer as writes from audit_record where chain = $1`,
      [chain.id],
    );
    assert.ok((rows[0]?.writes ?? 99) <= 5, 'fifty calls made at most five transactions');
  });

  test('one caller’s conflict is not another’s', async () => {
    const chain = makeServiceChain({ pool: database.pool, kind: 'api' });
    await chain.append([fact('x')]);
    const alarm = mock.method(console, 'error', () => undefined);
    const results = await Promise.allSettled([
      chain.append([fact('first')]),
      chain.append([fact('x', { data: { other: 1 } })]),
      chain.append([fact('second')]),
    ]);
    alarm.mock.restore();
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(await verifyChain(database.pool, chain.id), { ok: true, records: 3 });
  });

  test('a record about a run is one record, whichever processes write it, even at once', async () => {
    const about = newId('run');
    const chains = [1, 2, 3].map(() => makeServiceChain({ pool: database.pool, kind: 'worker' }));
    await Promise.all(
      chains.map((chain) => chain.append([{ ...fact('late', { type: 'message.refused' }), about }])),
    );
    const { rowCount } = await database.pool.query('select 1 from audit_record where about = $1', [about]);
    assert.equal(rowCount, 1);
  });
});
