import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { withTransaction, type Tx } from '../../src/db/index.js';
import type { Answer } from '../../src/engine/state.js';
import { newId } from '../../src/model/names/ids.js';
import type { MessageKind, SealedMessage } from '../../src/model/message.js';
import {
  answerMessage,
  countBell,
  countUnanswered,
  countUndeliveredMessages,
  bellsOfMessages,
  dueMessages,
  foreignMessages,
  getMessage,
  insertMessage,
  lockMessages,
  lockUntaken,
  markTaken,
  withdrawMessage,
} from '../../src/store/runs/messages.js';
import { closeUnstarted, getRun } from '../../src/store/runs/runs.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putRun } from './rows.js';

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

const inTransaction = <T>(act: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(database.pool, act);

function message(run: string, change: Partial<SealedMessage> = {}): SealedMessage {
  return {
    ...{ id: newId('msg'), run, kind: 'submit', text: '{"nul":"\\u0000"}', digest: 'sha256:d' },
    ...{ keyId: 'key', signature: 'sig', ...change },
  };
}

async function put(run: string, change: Partial<SealedMessage> = {}, bytes = 0): Promise<SealedMessage> {
  const made = message(run, change);
  assert.ok(await inTransaction((tx) => insertMessage(tx, { message: made, bytes })));
  return made;
}

async function makeRun(): Promise<string> {
  const run = newId('run');
  await putRun(database.pool, run);
  return run;
}

const accepted: Answer = { status: 'accepted' };
const take = (id: string, rev = 1, bells = 1): Promise<void> =>
  inTransaction((tx) => markTaken(tx, id, rev, bells));
const answer = (id: string, said: Answer): Promise<void> =>
  inTransaction((tx) => answerMessage(tx, id, said));

describe('a message', () => {
  test('is inserted once for ever, whoever races: its id is never that of another', async () => {
    const run = await makeRun();
    const id = newId('msg');
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        inTransaction((tx) => insertMessage(tx, { message: message(run, { id, text: `${n}` }), bytes: n })),
      ),
    );
    assert.equal(made.filter(Boolean).length, 1);
    const first = await getMessage(database.pool, id);
    assert.equal(first?.text, String(made.indexOf(true)));
    await take(id);
    await answer(id, accepted);
    const again = { message: message(await makeRun(), { id, text: 'another' }), bytes: 0 };
    assert.equal(await inTransaction((tx) => insertMessage(tx, again)), false);
    assert.deepEqual(await getMessage(database.pool, id), { ...first, rev: 1, answer: accepted });
  });

  test('comes back to the letter, and only by its own id', async () => {
    const made = await put(await makeRun(), { text: '{"nul":"\\u0000","emoji":"😀"}' });
    const { createdAt, ...stored } = (await getMessage(database.pool, made.id)) ?? {};
    assert.deepEqual(stored, { ...made, rev: null, answer: null, isWithdrawn: false });
    assert.ok(Math.abs(Date.now() - Date.parse(String(createdAt))) < 60_000);
    assert.equal(await getMessage(database.pool, 'nul \0'), null);
  });

  test('keeps its first answer', async () => {
    const { id } = await put(await makeRun());
    await answer(id, accepted);
    await answer(id, { status: 'refused', code: 'RUN_CLOSED', message: 'late' });
    assert.deepEqual((await getMessage(database.pool, id))?.answer, accepted);
  });

  test('is given to its own run alone, in the order in which messages were stored', async () => {
    const [run, other] = [await makeRun(), await makeRun()];
    const ids = [(await put(run)).id, (await put(run)).id, (await put(run)).id];
    const foreign = (await put(other)).id;
    const asked = [...ids].reverse().concat(foreign, 'msg_of_nobody', 'nul \0');
    const locked = await inTransaction((tx) => lockMessages(tx, run, asked));
    assert.deepEqual(
      locked.map(({ id }) => id),
      ids,
    );
    assert.deepEqual([...(await foreignMessages(database.pool, run, asked))], [foreign]);
    assert.deepEqual(
      (await bellsOfMessages(database.pool, run)).map(({ id, digest }) => [id, digest]),
      ids.map((id) => [id, 'sha256:d']),
    );
  });
});

describe('a message that is withdrawn', () => {
  test('loses to a step that took it, and wins over one that comes later', async () => {
    const { id } = await put(await makeRun());
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let begun = (): void => undefined;
    const taking = new Promise<void>((resolve) => (begun = resolve));
    const step = inTransaction(async (tx) => {
      await markTaken(tx, id, 1, 1);
      // Writes are sent without waiting for them: what answers after it says that the row is locked.
      await tx.query('select 1');
      begun();
      await held;
    });
    await taking;
    const withdrawing = withdrawMessage(database.pool, id);
    release();
    await step;
    assert.equal(await withdrawing, false);
    assert.equal((await getMessage(database.pool, id))?.isWithdrawn, false);

    const later = await put(await makeRun());
    assert.equal(await withdrawMessage(database.pool, later.id), true);
    assert.equal(await withdrawMessage(database.pool, later.id), false, 'once');
    const untaken = { kind: null, except: [], limit: 10 };
    assert.deepEqual(await inTransaction((tx) => lockUntaken(tx, later.run, untaken)), []);
    assert.equal(
      (await inTransaction((tx) => lockMessages(tx, later.run, [later.id])))[0]?.isWithdrawn,
      true,
    );
  });

  test('stays when it was answered, though no step is named for it', async () => {
    const { id } = await put(await makeRun());
    await answer(id, accepted);
    assert.equal(await withdrawMessage(database.pool, id), false);
  });

  test('goes with its run, when that never started; nothing does when a step has been taken', async () => {
    const run = await makeRun();
    const ids = [(await put(run, { kind: 'start' })).id, (await put(run)).id];
    assert.equal(await inTransaction((tx) => closeUnstarted(tx, run)), true);
    for (const id of ids) assert.equal((await getMessage(database.pool, id))?.isWithdrawn, true);
    assert.equal(await inTransaction((tx) => closeUnstarted(tx, run)), true);

    const begun = newId('run');
    await putRun(database.pool, begun);
    await database.pool.query('update run set rev = 1 where id = $1', [begun]);
    const kept = await put(begun);
    assert.equal(await inTransaction((tx) => closeUnstarted(tx, begun)), false);
    assert.equal((await getMessage(database.pool, kept.id))?.isWithdrawn, false);
  });
});

describe('a run that a worker has closed before it began', () => {
  test('stays closed over that, and its messages keep their answers: the API withdraws nothing then', async () => {
    const run = await makeRun();
    const { id } = await put(run);
    await answer(id, accepted);
    const problem = { code: 'KEY_UNOPENED', message: 'it was cancelled' } as const;
    assert.equal(await inTransaction((tx) => closeUnstarted(tx, run, problem)), true);
    assert.equal(await inTransaction((tx) => closeUnstarted(tx, run)), false);
    assert.deepEqual((await getRun(database.pool, run))?.problem, problem);
    assert.equal((await getMessage(database.pool, id))?.isWithdrawn, false);
  });
});

describe('what a run has not taken', () => {
  test('is swept oldest first, of one kind where that is asked, and never what was taken, answered or is in hand', async () => {
    const run = await makeRun();
    const of = async (kind: MessageKind): Promise<string> => (await put(run, { kind })).id;
    const [taken, answered, first, decision, last] = [
      await of('submit'),
      await of('submit'),
      await of('submit'),
      await of('decide'),
      await of('submit'),
    ];
    await take(taken);
    await answer(answered, accepted);
    const sweep = (kind: MessageKind | null, except: string[], limit = 10): Promise<string[]> =>
      inTransaction(async (tx) => (await lockUntaken(tx, run, { kind, except, limit })).map(({ id }) => id));
    assert.deepEqual(await sweep(null, []), [first, decision, last]);
    assert.deepEqual(await sweep('decide', []), [decision]);
    assert.deepEqual(await sweep(null, [first]), [decision, last]);
    assert.deepEqual(await sweep(null, [], 1), [first]);
  });

  test('is counted with its bytes until it is answered or withdrawn', async () => {
    const run = await makeRun();
    const made = [await put(run, {}, 10), await put(run, {}, 200), await put(run, {}, 3_000_000_000)];
    assert.deepEqual(await countUnanswered(database.pool, run), {
      submits: 3,
      others: 0,
      bytes: 3_000_000_210,
      ids: made.map(({ id }) => id),
    });
    await take(made[0]?.id ?? '');
    assert.equal((await countUnanswered(database.pool, run)).submits, 3, 'taken is not answered');
    await answer(made[0]?.id ?? '', accepted);
    await withdrawMessage(database.pool, made[1]?.id ?? '');
    assert.deepEqual(await countUnanswered(database.pool, run), {
      submits: 1,
      others: 0,
      bytes: 3_000_000_000,
      ids: [made[2]?.id],
    });
    assert.deepEqual(await countUnanswered(database.pool, await makeRun()), {
      submits: 0,
      others: 0,
      bytes: 0,
      ids: [],
    });
  });
});

describe('bells', () => {
  const ring = (id: string): Promise<string> => inTransaction((tx) => countBell(tx, id));

  test('of a message that was taken are a replay once: beyond those that this service rang itself', async () => {
    const { id } = await put(await makeRun());
    await take(id, 1, 1);
    assert.deepEqual([await ring(id), await ring(id), await ring(id)], ['replayed', 'known', 'known']);
  });

  test('that the outbox rang again are no replay', async () => {
    const { id } = await put(await makeRun());
    await database.pool.query('update message set attempts = 2 where id = $1', [id]);
    await take(id, 1, 1);
    assert.deepEqual([await ring(id), await ring(id), await ring(id)], ['known', 'known', 'replayed']);
  });

  test('that come after the message was swept are no replay', async () => {
    const { id } = await put(await makeRun());
    await take(id, 1, 0);
    assert.deepEqual([await ring(id), await ring(id)], ['known', 'replayed']);
  });
});

describe('what is due to be rung for again', () => {
  const due = (limit = 10): Promise<string[]> =>
    inTransaction(async (tx) => (await dueMessages(tx, limit)).map(({ id }) => id));
  const nextIn = async (id: string): Promise<number> => {
    const { rows } = await database.pool.query<{ seconds: number }>(
      `select extract(epoch from next_at - clock_timestamp())::float8 as seconds from message where id = $1`,
      [id],
    );
    return rows[0]?.seconds ?? NaN;
  };
  const overdue = (...ids: string[]): Promise<unknown> =>
    database.pool.query(
      `update message set next_at = clock_timestamp() - interval '1 second' where id = any($1)`,
      [ids],
    );

  test('goes to one process, is put off for longer each time, and ends when a step took it', async () => {
    const run = await makeRun();
    const ids = [(await put(run)).id, (await put(run)).id];
    assert.deepEqual(await due(), [], 'the direct way comes first');
    await overdue(...ids);
    assert.deepEqual((await Promise.all([due(), due(), due()])).flat().sort(), [...ids].sort());
    assert.deepEqual(await due(), []);
    const [first = '', second = ''] = ids;
    let before = await nextIn(first);
    for (let attempt = 2; attempt <= 9; attempt += 1) {
      await overdue(first);
      assert.deepEqual(await due(), [first]);
      const after = await nextIn(first);
      assert.ok(after > before - 1 && after <= 121, `${attempt}: ${after} s after ${before} s`);
      before = after;
    }
    assert.ok(before > 100, 'two minutes at last, and no end');
    await take(first);
    await withdrawMessage(database.pool, second);
    await overdue(first, second);
    assert.deepEqual(await due(), []);
  });

  test('is taken the longest overdue first, as many as are asked for; a row that is held holds back no other', async () => {
    const run = await makeRun();
    const ids = [(await put(run)).id, (await put(run)).id, (await put(run)).id];
    const [held = '', next = '', last = ''] = ids;
    for (const [index, id] of ids.entries())
      await database.pool.query(
        `update message set next_at = clock_timestamp() - $2 * interval '1 hour' where id = $1`,
        [id, 3 - index],
      );
    await inTransaction(async (tx) => {
      await lockMessages(tx, run, [held]);
      assert.deepEqual(await due(1), [next]);
      assert.deepEqual(await due(), [last]);
    });
    assert.deepEqual(await due(), [held]);
  });

  test('is shown to operators once it had to be rung for again', async () => {
    const run = await makeRun();
    const count = async (): Promise<number> =>
      (await countUndeliveredMessages(database.pool)).find(({ environment }) => environment === 'dev')
        ?.count ?? 0;
    const before = await count();
    const { id } = await put(run);
    assert.equal(await count(), before);
    await overdue(id);
    await due();
    assert.equal(await count(), before + 1);
    await take(id);
    assert.equal(await count(), before);
    const unbegun = await put(run);
    await overdue(unbegun.id);
    await due();
    await answer(unbegun.id, accepted);
    assert.equal(await count(), before);
  });
});
