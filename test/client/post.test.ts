import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { makePayloads, makeServiceChain } from '../../src/audit/index.js';
import { loadKeys } from '../../src/auth/index.js';
import type { ClientDeps } from '../../src/client/index.js';
import { recordStart } from '../../testing/record-start.js';
import { post } from '../../src/client/post.js';
import { unknownRights } from '../../src/auth/index.js';
import { lastingRights } from '../../testing/rights.js';
import { makeSubmission, submit } from '../../src/client/submit.js';
import { makeWaiter, type Waiter } from '../../src/client/waiter.js';
import type { Foreseen, MessageOutcome, StartRequest, SubmitRequest } from '../../src/client/types.js';
import { withTransaction, type Pool, type Tx } from '../../src/db/index.js';
import { newId } from '../../src/model/names/ids.js';
import {
  mostDocumentBytes,
  mostOpenApprovals,
  mostOpenBytes,
  mostUnanswered,
  mostValueBytes,
} from '../../src/model/limits.js';
import type { Principal } from '../../src/model/principal.js';
import { answerMessage, countUnanswered, getMessage } from '../../src/store/runs/messages.js';
import { getRun, insertRun } from '../../src/store/runs/runs.js';
import { putPlan } from '../../src/store/flows/flows.js';
import { putSigningKey } from '../../src/store/people/signing-keys.js';
import { holdRun } from '../../testing/servers/locks.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { until } from '../../testing/until.js';
import { putRun, runRow } from '../store/rows.js';

// What a run is asked: kept or refused before anything is stored, and its caller is told what the store knows.

const agent: Principal = { id: 'bot', kind: 'agent', roles: [], permissions: [] };

let database: Database;
let waiter: Waiter;
let home: string;
let deps: ClientDeps;
before(async () => {
  database = await makeDatabase();
  waiter = await makeWaiter(database.url);
  home = mkdtempSync(join(tmpdir(), 'countersign-post-'));
  const keys = await loadKeys(home, {});
  await putSigningKey(database.pool, { ...keys.signing, sealed: null });
  deps = {
    ...{ pool: database.pool, payloads: makePayloads({ kek: keys.kek }), keys },
    forNamespace: () => temporal(async () => undefined),
    onInternalError: assert.fail,
    isOurs: () => Promise.resolve(true),
  } as unknown as ClientDeps;
});
after(async () => {
  await waiter.close();
  await database.drop();
  rmSync(home, { recursive: true });
});

/** A Temporal whose signals do what they are told to. */
function temporal(signal: () => Promise<void>): Client {
  return {
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
    workflow: { getHandle: () => ({ signal }) },
  } as unknown as Client;
}

async function begunRun(): Promise<string> {
  const run = newId('run');
  await putRun(database.pool, run);
  await database.pool.query('update run set rev = 1 where id = $1', [run]);
  return run;
}

function ask(
  run: string,
  args: object,
  on: ClientDeps = deps,
  id = newId('msg'),
  foreseen: Foreseen | null = null,
  rights = lastingRights,
): Promise<MessageOutcome> {
  const request = { transition: 'go', expectedVersion: null, principal: agent, trace: null };
  return post(on, waiter, {
    ...{ run, id, kind: 'submit', waitMs: 1, rights },
    foresight: foreseen === null ? null : { principal: agent.id, foresee: () => Promise.resolve(foreseen) },
    make: () => makeSubmission({ ...request, run, messageId: id, waitMs: 1, arguments: args as never }),
  });
}

const codeOf = (outcome: MessageOutcome): string =>
  outcome.status === 'answered' && outcome.answer.status === 'refused' ? outcome.answer.code : outcome.status;

async function keptOf(run: string): Promise<{ count: number; bytes: number }> {
  const { rows } = await database.pool.query<{ count: number; bytes: number }>(
    'select count(*)::int as count, coalesce(sum(bytes), 0)::int as bytes from message where run = $1',
    [run],
  );
  return rows[0] ?? assert.fail();
}

describe('a request whose caller is asked for its rights again', () => {
  for (const [what, isSame, expected, times] of [
    ['is kept once they are the same under the lock on its run', [true, true, true], 'executing', 3],
    ['is not kept where they have changed by then', [true, true, false], 'unavailable', 3],
    ['is not begun where they have changed before', [false], 'unavailable', 1],
  ] as const)
    it(what, async () => {
      const run = await begunRun();
      let asked = 0;
      const areSame = (): Promise<boolean> => Promise.resolve(isSame[asked++] ?? false);
      const told = await ask(run, {}, deps, newId('msg'), null, { areStale: () => true, areSame });
      assert.deepEqual([codeOf(told), asked], [expected, times]);
      assert.equal((await keptOf(run)).count, expected === 'executing' ? 1 : 0);
    });
});

describe('a request that was kept before, whose caller has other rights by now', () => {
  it('is told what became of it', async () => {
    const [run, id] = [await begunRun(), newId('msg')];
    assert.equal(codeOf(await ask(run, {}, deps, id)), 'executing');
    assert.equal(codeOf(await ask(run, {}, deps, id, null, unknownRights)), 'executing');
    assert.equal((await keptOf(run)).count, 1);
  });
});

describe('what is asked at one instant is judged by what was kept before it', () => {
  it('so a run has never more messages without an answer than it may', async () => {
    const run = await begunRun();
    const outcomes = await Promise.all(Array.from({ length: mostUnanswered + 15 }, () => ask(run, {})));
    const refused = outcomes.map(codeOf).filter((code) => code !== 'executing');
    assert.deepEqual([...new Set(refused)], ['RATE_LIMITED']);
    assert.deepEqual([refused.length, (await keptOf(run)).count], [15, mostUnanswered]);
  });

  it('and never more bytes of arguments than it can hold', async () => {
    const run = await begunRun();
    const text = 'x'.repeat(mostValueBytes - 100);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => ask(run, { text })));
    const codes = outcomes.map(codeOf).sort();
    const fitting = Math.floor(mostOpenBytes / (mostValueBytes - 100 + '{"text":""}'.length));
    assert.equal(codes.filter((code) => code === 'executing').length, fitting);
    assert.equal(codes.filter((code) => code === 'RUN_FULL').length, 8 - fitting);
    const kept = await keptOf(run);
    assert.ok(kept.count === fitting && kept.bytes <= mostOpenBytes);
  });
});

describe('what a submit leads to', { timeout: 60_000 }, () => {
  /** Submits of a principal whose foresight waits until it is told to go on. */
  function foreseeing(id = agent.id): {
    readonly asked: string[];
    readonly send: (run: string, id?: string) => Promise<MessageOutcome>;
    readonly release: (foreseen?: Foreseen | null) => void;
  } {
    const asked: string[] = [];
    const releases: ((foreseen: Foreseen | null) => void)[] = [];
    const send = (run: string, messageId = newId('msg')): Promise<MessageOutcome> =>
      submit(deps, waiter, {
        ...{ run, messageId, transition: 'go', arguments: {}, principal: { ...agent, id }, waitMs: 1 },
        ...{ expectedVersion: null, trace: null, rights: lastingRights },
        foresee: () => {
          asked.push(run);
          return new Promise((resolve) => releases.push(resolve));
        },
      } as SubmitRequest);
    return { asked, send, release: (foreseen = null) => releases.shift()?.(foreseen) };
  }

  it('is found out for one submit to a run after the other, each until it is kept or refused', async () => {
    const [run, other] = [await begunRun(), await begunRun()];
    const { asked, send, release } = foreseeing();
    const ids = [newId('msg'), newId('msg')] as const;
    const first = send(run, ids[0]);
    await until('the first foresight', () => asked.length === 1 || null);
    // Each looks in the store before it takes its turn: sent at once, either could come first.
    const second = send(run, ids[1]);
    const third = send(other);
    await until('that of another run', () => asked.length === 2 || null);
    assert.deepEqual(asked, [run, other]);
    release({ rev: 1, waiting: [], refusal: null });
    assert.equal(codeOf(await first), 'executing');
    await until('the second foresight', () => asked.length === 3 || null);
    const { ids: waiting } = await countUnanswered(database.pool, run);
    assert.deepEqual(waiting, ids.slice(0, 1), 'the first is kept by then');
    for (const _ of asked) release();
    assert.deepEqual([codeOf(await second), codeOf(await third)], ['executing', 'executing']);
  });

  it('is found out again where something else waits or the run goes on meanwhile, three times, and then the run says', async () => {
    const run = await begunRun();
    const refusal = { status: 'refused', code: 'RUN_FULL', message: 'it leads on to too much' } as const;
    const tryWith = async (foreseen: readonly (Foreseen | null)[]): Promise<[string, number]> => {
      const { asked, send, release } = foreseeing();
      const sent = send(run);
      for (const [at, each] of foreseen.entries()) {
        await until('a foresight', () => asked.length > at || null);
        release(each);
      }
      return [codeOf(await sent), asked.length];
    };
    const outdated = { rev: 0, waiting: [], refusal };
    assert.deepEqual(await tryWith([outdated, { ...outdated, rev: 1 }]), ['RUN_FULL', 2]);
    assert.equal((await keptOf(run)).count, 0);
    assert.deepEqual(await tryWith([null]), ['executing', 1], 'nobody knows, so the run says');
    assert.deepEqual(await tryWith([outdated, outdated, outdated]), ['executing', 3]);
    assert.equal((await keptOf(run)).count, 2);
  });

  it('is not waited for by a request that is kept already', async () => {
    const [run, kept] = [await begunRun(), newId('msg')];
    assert.equal(codeOf(await ask(run, {}, deps, kept)), 'executing');
    const { asked, send, release } = foreseeing();
    const first = send(run);
    await until('a foresight', () => asked.length === 1 || null);
    assert.deepEqual(await send(run, kept), { status: 'executing', messageId: kept });
    release();
    assert.deepEqual([codeOf(await first), asked.length], ['executing', 1]);
  });

  it('is not found out for more submits to a run than may wait, nor for one whose turn is late: of those nothing is kept', async (t) => {
    const run = await begunRun();
    const { asked, send, release } = foreseeing();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const outcomes: string[] = [];
    const sent = Array.from({ length: 250 }, async () => outcomes.push(codeOf(await send(run))));
    while (outcomes.length < 199 || asked.length < 1) await database.pool.query('select 1');
    assert.deepEqual([outcomes.length, ...new Set(outcomes)], [199, 'RATE_LIMITED']);
    t.mock.timers.tick(10_000);
    t.mock.timers.reset();
    await Promise.all(sent);
    assert.deepEqual([...new Set(outcomes.slice(199))], ['unavailable']);
    assert.deepEqual([outcomes.length, asked.length, (await keptOf(run)).count], [250, 1, 0]);
    release();
    const { send: sendAgain, asked: askedAgain, release: go } = foreseeing();
    const next = sendAgain(run);
    await until('a foresight', () => askedAgain.length === 1 || null);
    go();
    assert.equal(codeOf(await next), 'executing');
  });

  it('is not found out for more submits of a principal than may wait, at all runs together: nothing of those is kept', async (t) => {
    const busy = foreseeing();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const runs = await Promise.all(Array.from({ length: 6 }, begunRun));
    const outcomes: MessageOutcome[] = [];
    const sent = runs.flatMap((run) =>
      Array.from({ length: 40 }, async () => outcomes.push(await busy.send(run))),
    );
    while (outcomes.length < 38 || busy.asked.length < 2) await database.pool.query('select 1');
    assert.deepEqual([outcomes.length, ...new Set(outcomes.map(codeOf))], [38, 'RATE_LIMITED']);
    const [told] = outcomes;
    const message =
      told?.status === 'answered' && told.answer.status === 'refused' ? told.answer.message : '';
    assert.match(message, /^200 submits of the same principal, to all runs together, wait already/);
    t.mock.timers.tick(10_000);
    t.mock.timers.tick(10_000);
    t.mock.timers.reset();
    await Promise.all(sent);
    assert.deepEqual(
      (await Promise.all(runs.map(keptOf))).filter(({ count }) => count > 0),
      [],
    );
    busy.release();
    busy.release();
  });

  it('is found out for others of the same run while the others of a busy principal wait for it, which are kept as soon as it may', async () => {
    const shared = await begunRun();
    const busy = foreseeing();
    const elsewhere = [await begunRun(), await begunRun()].map((run) => busy.send(run));
    await until('both are at work', () => busy.asked.length === 2 || null);
    const late = Array.from({ length: mostUnanswered - 3 }, () => busy.send(shared));
    const others = ['ann', 'ben', 'cem'].map((id) => ({ id, ...foreseeing(id) }));
    for (const { asked, send, release } of others) {
      const sent = send(shared);
      await until('that of another', () => asked.length === 1 || null, 5_000);
      release();
      assert.equal(codeOf(await sent), 'executing');
    }
    assert.equal(busy.asked.length, 2, 'none of the principal has begun');
    busy.release();
    busy.release();
    for (const at of late.keys()) {
      await until('the next', () => busy.asked.length === at + 3 || null);
      busy.release();
    }
    const codes = (await Promise.all([...elsewhere, ...late])).map(codeOf);
    assert.deepEqual([...new Set(codes)], ['executing']);
  });

  it('is found out anew in another turn, which comes before those that wait', async () => {
    const run = await begunRun();
    const [first, second] = [foreseeing(), foreseeing('ann')];
    const sent = first.send(run);
    await until('a foresight', () => first.asked.length === 1 || null);
    const next = second.send(run);
    first.release({ rev: 0, waiting: [], refusal: null });
    await until('it is found out anew', () => first.asked.length === 2 || null);
    assert.equal(second.asked.length, 0);
    first.release();
    assert.equal(codeOf(await sent), 'executing');
    await until('that of another', () => second.asked.length === 1 || null);
    second.release();
    assert.equal(codeOf(await next), 'executing');
  });
});

describe('what the store already refuses', () => {
  it('is answered at the door, and no message of it is kept', async () => {
    for (const [change, code] of [
      [`status = 'stuck'`, 'RUN_STUCK'],
      [`status = 'completed'`, 'RUN_CLOSED'],
      [`executing = 'act_under_way'`, 'RUN_BUSY'],
    ] as const) {
      const run = await begunRun();
      await database.pool.query(`update run set ${change} where id = $1`, [run]);
      const silent = { ...deps, forNamespace: () => temporal(() => assert.fail('a bell was rung')) };
      assert.equal(codeOf(await ask(run, {}, silent)), code);
      assert.equal((await keptOf(run)).count, 0);
    }
  });
});

describe('a request', () => {
  it('that is kept already is answered by a process without a key to sign with, which keeps nothing new', async () => {
    const other = mkdtempSync(join(tmpdir(), 'countersign-keyless-'));
    const keyless = { ...deps, keys: await loadKeys(other, {}) };
    rmSync(other, { recursive: true });
    const run = await begunRun();
    const id = newId('msg');
    assert.equal(codeOf(await ask(run, {}, deps, id)), 'executing');
    assert.equal(codeOf(await ask(run, {}, keyless, id)), 'executing');
    await assert.rejects(ask(run, {}, keyless), /is retired, and no other can be used/);
    assert.equal((await keptOf(run)).count, 1);
    const start = startOf(run);
    assert.equal(await withTransaction(database.pool, (tx) => recordStart(keyless, tx, start)), null);
  });

  it('for a start that another attempt has taken over is told so, and waits for nothing of that one', async () => {
    const run = newId('run');
    await putPlan(database.pool, 'sha256:plan', '{}');
    const whileOurs = async (tx: Tx): Promise<void> => {
      await tx.query('select 1');
      throw new Error('taken over');
    };
    const start = { ...startOf(run), whileOurs };
    await withTransaction(database.pool, async (tx) => {
      await insertRun(tx, runRow(run));
      // Sends it too.
      await getRun(tx, run);
      await assert.rejects(
        withTransaction(database.pool, (own) => recordStart(deps, own, start)),
        /taken over/,
      );
    });
  });
});

function startOf(run: string): StartRequest {
  const { flow, flowVersion, planHash, environment, mode } = runRow(run);
  const asked = {
    initialState: 'a',
    input: {},
    principal: agent,
    rights: lastingRights,
    trace: null,
    waitMs: 1,
  };
  return { run, flow, flowVersion, planHash, environment, mode, ...asked };
}

describe('a run that is full of what waits for people', () => {
  it('takes what has no arguments, which may end it or make room, and nothing that takes room', async () => {
    const full = [
      ['open_bytes', mostOpenBytes],
      ['open_approvals', mostOpenApprovals],
    ] as const;
    for (const [column, most] of full) {
      const run = await begunRun();
      await database.pool.query(`update run set ${column} = $2 where id = $1`, [run, most]);
      assert.equal(codeOf(await ask(run, { n: 1 })), 'RUN_FULL');
      assert.equal(codeOf(await ask(run, {})), 'executing');
      assert.equal(codeOf(await ask(run, { n: 1 })), 'RUN_FULL');
    }
  });
});

describe('what the run would refuse if it took a submit next', () => {
  const refusal = { status: 'refused', code: 'RUN_FULL', message: 'it leads on to too much' } as const;
  const askKnowing = (
    run: string,
    rev: number,
    id = newId('msg'),
    waiting: readonly string[] = [],
  ): Promise<MessageOutcome> => ask(run, {}, deps, id, { rev, waiting, refusal });

  it('is refused at the door, and no message of it is kept', async () => {
    const run = await begunRun();
    assert.equal(codeOf(await askKnowing(run, 1)), 'RUN_FULL');
    assert.equal((await keptOf(run)).count, 0);
  });

  it('is the word that counts about room: a run that is full takes what it was found to have room for', async () => {
    const run = await begunRun();
    await database.pool.query('update run set open_bytes = $2 where id = $1', [run, mostOpenBytes]);
    const askFitting = (rev: number, waiting: readonly string[] = []): Promise<MessageOutcome> =>
      ask(run, { n: 1 }, deps, newId('msg'), { rev, waiting, refusal: null });
    assert.equal(codeOf(await askFitting(0)), 'RUN_FULL');
    assert.equal(codeOf(await askFitting(1)), 'executing');
    assert.equal(codeOf(await askFitting(1)), 'RUN_FULL', 'something else waits now');
    const { ids } = await countUnanswered(database.pool, run);
    assert.equal(codeOf(await askFitting(1, ids)), 'RUN_FULL', 'what waits is bounded, whatever it leads to');
  });

  it('is refused at the door also behind others that wait, where it was found with just those', async () => {
    const run = await begunRun();
    for (const _ of [1, 2]) assert.equal(codeOf(await ask(run, {})), 'executing');
    const { ids } = await countUnanswered(database.pool, run);
    assert.equal(codeOf(await askKnowing(run, 1, newId('msg'), ids)), 'RUN_FULL');
    assert.equal((await keptOf(run)).count, 2);
    assert.equal(codeOf(await askKnowing(run, 1, newId('msg'), ids.slice(1))), 'executing');
  });

  it('is left to the run where that has gone on since, or takes something else before', async () => {
    const run = await begunRun();
    assert.equal(codeOf(await askKnowing(run, 0)), 'executing');
    assert.equal(codeOf(await askKnowing(run, 1)), 'executing');
    assert.equal((await keptOf(run)).count, 2);
  });

  it('is not told of a submit that is kept already', async () => {
    const [run, id] = [await begunRun(), newId('msg')];
    assert.equal(codeOf(await ask(run, {}, deps, id)), 'executing');
    await answerMessage(database.pool as unknown as Tx, id, { status: 'accepted' });
    assert.equal(codeOf(await askKnowing(run, 1, id)), 'answered');
  });
});

describe('a run whose document is as large as it may be', () => {
  it('takes no submit, with or without arguments, and is said to be cancelled or left to end by what waits', async () => {
    // Each different request that a run has done is counted for as long as it lasts.
    const done = (at: number): [string, number] => [`go:${at.toString(16).padStart(64, '0')}`, 1];
    const successes = Array.from({ length: 29_000 }, (_one, at) => done(at));
    const doc = JSON.stringify({ successes });
    assert.ok(doc.length > mostDocumentBytes);
    for (const [open, next] of [
      [0, 'ends it; go on in another run'],
      [3, 'decide its 3 open approvals, which may make room, or go on in another run'],
    ] as const) {
      const run = await begunRun();
      await database.pool.query('update run set doc = $2, open_approvals = $3 where id = $1', [
        run,
        doc,
        open,
      ]);
      for (const args of [{}, { n: 1 }]) {
        const said = await ask(run, args);
        assert.equal(codeOf(said), 'RUN_FULL');
        const { message } =
          said.status === 'answered' && said.answer.status === 'refused' ? said.answer : assert.fail();
        assert.ok(
          message.includes(
            `takes ${doc.length} bytes, and ${mostDocumentBytes} are the most: it takes no submit now`,
          ),
          message,
        );
        assert.match(
          message,
          /a count of each different request that it has done, which stays until it ends/,
        );
        assert.ok(
          message.includes('can still be decided, and a cancel ends it') && message.endsWith(next),
          message,
        );
      }
    }
  });
});

describe('a run that is held up', { timeout: 60_000 }, () => {
  it('holds two connections, however many ask it, and nobody who asks another', async () => {
    const run = await begunRun();
    const other = await begunRun();
    const lock = await holdRun(database.url, run);
    const asked = Array.from({ length: 25 }, () => ask(run, {}));
    while ((await lock.waiting()) < 2) await database.pool.query('select 1');
    assert.equal(codeOf(await ask(other, {})), 'executing');
    assert.equal(await lock.waiting(), 2);
    assert.ok(database.pool.totalCount - database.pool.idleCount <= 2);
    await lock.release();
    assert.deepEqual([...new Set((await Promise.all(asked)).map(codeOf))], ['executing']);
    assert.equal((await keptOf(run)).count, 25);
  });

  it('keeps nothing of what waited too long, whose caller is told so; of what it has kept before nobody is', async (t) => {
    const run = await begunRun();
    const kept = newId('msg');
    assert.equal(codeOf(await ask(run, {}, deps, kept)), 'executing');
    const lock = await holdRun(database.url, run);
    const atWork = [ask(run, {}), ask(run, {})];
    while ((await lock.waiting()) < 2) await database.pool.query('select 1');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const late = [ask(run, {}), ask(run, {}, deps, kept)];
    t.mock.timers.tick(10_000);
    t.mock.timers.reset();
    const [first, again] = await Promise.all(late);
    assert.ok(first?.status === 'unavailable' && /nothing of it is kept/.test(first.message ?? ''));
    assert.deepEqual(again, { status: 'executing', messageId: kept });
    await lock.release();
    await Promise.all(atWork);
    assert.equal((await keptOf(run)).count, 3);
  });
});

describe('an engine that does not answer', () => {
  /** A store that has gone away once the bell was tried, and an engine that was not there. */
  function failing(storeStays: boolean): ClientDeps {
    let isAway = false;
    const query = (...args: Parameters<Pool['query']>): unknown =>
      isAway
        ? Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
        : database.pool.query(...args);
    const pool = new Proxy(database.pool, {
      get: (target, name) => (name === 'query' ? query : Reflect.get(target, name, target)),
    });
    const signal = async (): Promise<void> => {
      isAway = !storeStays;
      throw unavailable();
    };
    return { ...deps, pool, forNamespace: () => temporal(signal) };
  }

  function unavailable(): Error {
    const cause = Object.assign(new Error('14 UNAVAILABLE'), {
      ...{ code: 14, details: '', metadata: {} },
    });
    return new ServiceError('failed to signal', { cause });
  }

  it('withdraws what it could not be rung for, and only then is its caller told that nothing comes of it', async () => {
    const run = await begunRun();
    const id = newId('msg');
    assert.deepEqual(await ask(run, {}, failing(true), id), {
      ...{ status: 'unavailable', code: 'ENGINE_UNAVAILABLE' },
    });
    assert.equal((await getMessage(database.pool, id))?.isWithdrawn, true);
  });

  it('is no reason to say so of what a store that went away has kept: it may be taken still', async () => {
    const run = await begunRun();
    const id = newId('msg');
    assert.deepEqual(await ask(run, {}, failing(false), id), { status: 'executing', messageId: id });
    const kept = await getMessage(database.pool, id);
    assert.deepEqual([kept?.isWithdrawn, kept?.rev], [false, null]);
  });
});

describe('a run whose workflow is another deployment’s', () => {
  it('takes nothing here: its caller is told whose it is, and not that the engine does not answer', async () => {
    const run = await begunRun();
    const id = newId('msg');
    const handle = {
      signal: () => Promise.reject(new WorkflowNotFoundError('workflow not found', run, undefined)),
      describe: () =>
        Promise.resolve({ type: 'run', taskQueue: 'theirs', runId: 'e', closeTime: new Date() }),
    };
    const client = {
      ...temporal(() => assert.fail()),
      workflow: { getHandle: () => handle },
    } as unknown as Client;
    const copied = {
      ...{ ...deps, forNamespace: () => client, taskQueue: 'ours', isWorkedFor: () => Promise.resolve(true) },
      chain: makeServiceChain({ pool: database.pool, kind: 'api' }),
      onLostWorkflow: () => undefined,
    };
    const outcome = await ask(run, {}, copied, id);
    assert.equal(codeOf(outcome), 'RUN_STUCK');
    assert.match(JSON.stringify(outcome), /is left to another deployment.+the problem of the run says/);
    const row = await getRun(database.pool, run);
    assert.equal(row?.status, 'stuck');
    assert.match(row.problem?.next ?? '', /COUNTERSIGN_TASK_QUEUE=theirs/);
    assert.equal((await getMessage(database.pool, id))?.isWithdrawn, true);
  });
});
