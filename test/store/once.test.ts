import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '../../src/model/names/ids.js';
import { listen, withTransaction } from '../../src/db/index.js';
import {
  consumeGrant,
  lockGrant,
  findEarlierEffect,
  finishAttempt,
  listAttempts,
  putGrant,
  startAttempt,
} from '../../src/store/runs/actions.js';
import {
  getDecision,
  insertDecision,
  settleDecision,
  type DecisionRow,
} from '../../src/store/approvals/decisions.js';
import { publishVersion, putPlan, resolveVersion } from '../../src/store/flows/flows.js';
import {
  claimKey,
  forgetKey,
  keepAnswer,
  purgeOldKeys,
  releaseKey,
  renewKey,
  type HeldKey,
} from '../../src/store/idempotency.js';
import { getRun, insertRun, updateRun } from '../../src/store/runs/runs.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putApproval, putRun, runRow } from './rows.js';

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

describe('an idempotency key', () => {
  const key = (): HeldKey => ({
    principal: 'agent',
    method: 'POST',
    path: '/v1/flows/f/runs',
    key: newId('msg'),
    holder: 'first attempt',
  });
  const ask = (
    idBase: string,
    change: { bodyHash?: string; holdMs?: number } = {},
  ): { bodyHash: string; idBase: string; holdMs: number } => ({
    bodyHash: 'sha256:body',
    holdMs: 30_000,
    idBase,
    ...change,
  });

  test('twenty at once with one key: one holds it, the others are told that it is in progress', async () => {
    const held = key();
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, n) => claimKey(database.pool, held, ask(`run_${n}`))),
    );
    assert.equal(claims.filter(({ kind }) => kind === 'claimed').length, 1);
    assert.equal(claims.filter(({ kind }) => kind === 'in_progress').length, 19);
  });

  test('a finished one replays its answer; another body is refused; the other principal’s is another', async () => {
    const held = key();
    await claimKey(database.pool, held, ask('run_1'));
    const answer = { status: 201, headers: { Location: '/x' }, response: '{"nul":"\\u0000"}' };
    await keepAnswer(database.pool, held, answer);
    assert.deepEqual(await claimKey(database.pool, held, ask('run_2')), { kind: 'replay', ...answer });
    assert.deepEqual(await claimKey(database.pool, held, ask('run_2', { bodyHash: 'sha256:other' })), {
      kind: 'reused',
    });
    assert.deepEqual(await claimKey(database.pool, { ...held, principal: 'other' }, ask('run_2')), {
      kind: 'claimed',
      idBase: 'run_2',
    });
  });

  test('whose holder died is taken over by one, who gets the first attempt’s effect', async () => {
    const held = key();
    await claimKey(database.pool, held, ask('run_first', { holdMs: -1 }));
    const claims = await Promise.all(
      Array.from({ length: 10 }, () => claimKey(database.pool, held, ask('run_second'))),
    );
    assert.deepEqual(
      claims.filter(({ kind }) => kind === 'claimed'),
      [{ kind: 'claimed', idBase: 'run_first' }],
    );
  });

  test('that was released is free at once, for the same effect', async () => {
    const held = key();
    await claimKey(database.pool, held, ask('run_first'));
    await releaseKey(database.pool, held);
    assert.deepEqual(await claimKey(database.pool, held, ask('run_second')), {
      kind: 'claimed',
      idBase: 'run_first',
    });
  });

  test('that is forgotten by its holder is free for another request; nobody else forgets it', async () => {
    const held = key();
    await claimKey(database.pool, held, ask('run_first'));
    assert.equal(await forgetKey(database.pool, { ...held, holder: 'another attempt' }), false);
    assert.equal(await forgetKey(database.pool, held), true);
    const another = { ...ask('run_second'), bodyHash: 'another body' };
    assert.deepEqual(await claimKey(database.pool, held, another), {
      kind: 'claimed',
      idBase: 'run_second',
    });
    await keepAnswer(database.pool, held, { status: 200, headers: {}, response: 'said' });
    assert.equal(await forgetKey(database.pool, held), false);
  });

  test('is renewed, answered and let go by its holder alone: who was taken over changes nothing any more', async () => {
    const first = key();
    const second = { ...first, holder: 'second attempt' };
    const third = { ...first, holder: 'third attempt' };
    const claimed = { kind: 'claimed', idBase: 'run_first' };
    const late = { status: 409, headers: {}, response: 'late' };
    const answer = { status: 200, headers: {}, response: 'done' };
    assert.deepEqual(await claimKey(database.pool, first, ask('run_first', { holdMs: -1 })), claimed);
    assert.equal(await renewKey(database.pool, first, 30_000), true);
    assert.deepEqual(await claimKey(database.pool, second, ask('run_second')), { kind: 'in_progress' });
    assert.equal(await renewKey(database.pool, first, -1), true);
    assert.deepEqual(await claimKey(database.pool, second, ask('run_second')), claimed);
    assert.equal(await renewKey(database.pool, first, 30_000), false);
    assert.equal(await keepAnswer(database.pool, first, late), false);
    await releaseKey(database.pool, first);
    assert.deepEqual(await claimKey(database.pool, third, ask('run_third')), { kind: 'in_progress' });
    assert.equal(await keepAnswer(database.pool, second, answer), true);
    assert.equal(await keepAnswer(database.pool, second, late), false, 'an answer is kept once');
    assert.deepEqual(await claimKey(database.pool, third, ask('run_third')), { kind: 'replay', ...answer });
  });

  test('is forgotten after 24 hours', async () => {
    const held = key();
    await claimKey(database.pool, held, ask('run_first'));
    await database.asSuperuser(
      `update idempotency set created_at = now() - interval '25 hours' where key = $1`,
      [held.key],
    );
    assert.deepEqual(await claimKey(database.pool, held, ask('run_second')), {
      kind: 'claimed',
      idBase: 'run_second',
    });
    await database.asSuperuser(
      `update idempotency set created_at = now() - interval '25 hours' where key = $1`,
      [held.key],
    );
    assert.equal(await purgeOldKeys(database.pool), 1);
  });
});

describe('an execution', () => {
  test('a grant is used once, for its own digest only', async () => {
    await putRun(database.pool, 'run_grant');
    await putApproval(database.pool, 'run_grant', 'apr_grant');
    const consume = (digest: string): Promise<string> =>
      withTransaction(database.pool, async (tx) =>
        consumeGrant(tx, 'act_apr_grant', digest, await lockGrant(tx, 'act_apr_grant')),
      );
    assert.equal(await consume('sha256:d'), 'missing');
    await withTransaction(database.pool, (tx) =>
      putGrant(tx, { action: 'act_apr_grant', run: 'run_grant', digest: 'sha256:d' }),
    );
    assert.equal(await consume('sha256:other'), 'mismatch');
    const all = await Promise.all(Array.from({ length: 10 }, () => consume('sha256:d')));
    assert.deepEqual(all.sort(), [...Array.from({ length: 9 }, () => 'already'), 'consumed']);
  });

  test('an attempt without an outcome can be seen, and one attempt is not started twice', async () => {
    const start = {
      ...{ action: 'act_apr_grant', attempt: 1, executor: 2, idempotencyKey: 'key' },
      startedAt: '2026-11-21T08:00:00.000Z',
    };
    const holder = { owner: 'run/1', process: 'svc_1' };
    const lease = { ...holder, leaseMs: 60_000 };
    await withTransaction(database.pool, (tx) => startAttempt(tx, start, lease));
    assert.deepEqual(await listAttempts(database.pool, start.action), [
      {
        ...start,
        ...holder,
        ...{ finishedAt: null, outcome: null, errorClass: null, effectPossible: false },
        ...{ effectInDoubt: false, nextAt: null },
      },
    ]);
    await assert.rejects(
      withTransaction(database.pool, (tx) => startAttempt(tx, start, lease)),
      { code: '23505' },
    );
    const end = {
      action: start.action,
      attempt: 1,
      finishedAt: '2026-11-21T08:00:01.000Z',
      outcome: 'failed',
      errorClass: 'timeout',
      ...{ effectPossible: true, effectInDoubt: false },
      nextAt: '2026-11-21T08:00:05.000Z',
    } as const;
    await withTransaction(database.pool, (tx) => finishAttempt(tx, end, holder));
    assert.deepEqual(await listAttempts(database.pool, start.action), [{ ...start, ...holder, ...end }]);
    const other = { action: 'act_other', attempt: 1 };
    assert.equal(await findEarlierEffect(database.pool, 'key', other), 'possible');
    assert.equal(await findEarlierEffect(database.pool, 'key', start), 'none');
    assert.equal(await findEarlierEffect(database.pool, 'another key', other), 'none');
    const doubtful = { ...end, effectPossible: false, effectInDoubt: true } as const;
    await withTransaction(database.pool, (tx) => finishAttempt(tx, doubtful, holder));
    assert.equal(await findEarlierEffect(database.pool, 'key', other), 'in_doubt');
    await withTransaction(database.pool, (tx) =>
      finishAttempt(tx, { ...end, effectPossible: false }, holder),
    );
    assert.equal(await findEarlierEffect(database.pool, 'key', other), 'none');
  });
});

test('a decision is settled once; the same id again is the same act', async () => {
  await putRun(database.pool, 'run_decided');
  await putApproval(database.pool, 'run_decided', 'apr_decided');
  const row: DecisionRow = {
    id: 'dec_a',
    approval: 'apr_decided',
    run: 'run_decided',
    byId: 'manager',
    byKind: 'human',
    decision: 'approve',
    reasonRef: null,
    digest: 'sha256:d',
    at: '2026-11-21T08:00:00.000Z',
    status: 'accepted',
    code: null,
  };
  await insertDecision(database.pool, row);
  await insertDecision(database.pool, { ...row, decision: 'deny' });
  await settleDecision(database.pool, 'dec_a', { status: 'applied', code: null });
  await settleDecision(database.pool, 'dec_a', { status: 'refused', code: 'ALREADY_DECIDED' });
  assert.deepEqual(await getDecision(database.pool, 'dec_a'), { ...row, status: 'applied' });
});

test('twenty publishers of one flow at once: each content that is not the newest is a version, numbered without a gap', async () => {
  await putPlan(database.pool, 'sha256:p', '{"nul":"\\u0000"}');
  const flow = {
    name: 'racing',
    planHash: 'sha256:p',
    environment: 'dev',
    definition: '{}',
    source: '',
    owner: null,
    description: null,
    warnings: ['nul \0'],
    publishedBy: 'admin',
  };
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      withTransaction(database.pool, (tx) => publishVersion(tx, { ...flow, hash: `sha256:${n % 5}` })),
    ),
  );
  const made = all.filter((published) => published.created).map((published) => published.version);
  made.sort((a, b) => a - b);
  assert.deepEqual(
    made,
    made.map((_, index) => index + 1),
  );
  assert.ok(made.length >= 5, 'every content was the newest once');
  assert.equal((await resolveVersion(database.pool, 'racing', { environment: 'dev' }))?.version, made.length);
  const last = await resolveVersion(database.pool, 'racing', {});
  const again = { ...flow, hash: String(last?.hash) };
  const repeated = await withTransaction(database.pool, (tx) => publishVersion(tx, again));
  assert.deepEqual(repeated, { version: made.length, created: false });
  assert.equal(await resolveVersion(database.pool, 'racing', { environment: 'prod' }), null);
});

test('a run’s row comes back as it was put, and each change of it is announced', async () => {
  await putPlan(database.pool, 'sha256:plan', '{}');
  const row = runRow('run_row');
  await insertRun(database.pool, row);
  assert.deepEqual(await getRun(database.pool, 'run_row'), row);
  const change = {
    state: 'end',
    status: 'completed',
    version: 1,
    rev: 1,
    updatedAt: '2026-11-21T09:00:00.000Z',
    problem: { code: 'CHAIN_NO_MATCH', message: 'nul \0' },
    executing: 'act_1',
    doc: '{"nul":"\\u0000"}',
    docDigest: 'sha256:d',
    openApprovals: 2,
    openBytes: 2 ** 40,
  } as const;
  const announced = new Promise<string>((resolve) => {
    void listen(database.url, ['countersign_run'], (_channel, run) => resolve(run)).then(async (listener) => {
      await withTransaction(database.pool, (tx) => updateRun(tx, 'run_row', { ...change, checkAt: null }));
      await announcedDone;
      await listener.close();
    });
  });
  const announcedDone = announced.then(() => undefined);
  assert.equal(await announced, 'run_row');
  assert.deepEqual(await getRun(database.pool, 'run_row'), { ...row, ...change });
});
