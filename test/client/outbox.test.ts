import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { makeServiceChain } from '../../src/audit/index.js';
import { lookAfter, ringFor } from '../../src/client/bells.js';
import { makeOutbox } from '../../src/client/outbox.js';
import type { ClientDeps } from '../../src/client/index.js';
import { withTransaction } from '../../src/db/index.js';
import { startMessageId } from '../../src/model/names/derived-ids.js';
import { newId } from '../../src/model/names/ids.js';
import type { Bell, SealedMessage } from '../../src/model/message.js';
import { getMessage, insertMessage, markTaken } from '../../src/store/runs/messages.js';
import { getRun } from '../../src/store/runs/runs.js';
import { leaveRuns } from '../../src/store/processes/temporal-home.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putRun } from '../store/rows.js';

// What no run has taken is rung for again, each message for itself: none that fails is another's delay.

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

/** Overdue messages of a run of its own each, the first of which is the longest overdue. */
async function overdue(count: number): Promise<SealedMessage[]> {
  const made: SealedMessage[] = [];
  for (let n = 0; n < count; n += 1) {
    const run = newId('run');
    await putRun(database.pool, run);
    await database.pool.query('update run set rev = 1 where id = $1', [run]);
    const message: SealedMessage = {
      ...{ id: newId('msg'), run, kind: 'submit', text: '{}', digest: 'sha256:d', keyId: 'k' },
      signature: 's',
    };
    await withTransaction(database.pool, (tx) => insertMessage(tx, { message, bytes: 0 }));
    await database.pool.query(
      `update message set next_at = clock_timestamp() - $2 * interval '1 minute' where id = $1`,
      [message.id, count - n],
    );
    made.push(message);
  }
  return made;
}

/** On a slow machine, what an earlier test has left is due again by now. */
async function forgetEarlier(): Promise<void> {
  await database.asSuperuser('update message set answer = null, rev = 1 where rev is null');
  await database.asSuperuser(`update run set status = 'completed'`);
}

/** A Temporal whose signals do what they are told to, and an outbox that rings there. `failed`: its internal errors. */
function outboxTo(
  signal: (run: string, bell: Bell) => Promise<void>,
  failed: unknown[] = [],
): ReturnType<typeof makeOutbox> {
  const client = {
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
    workflow: { getHandle: (run: string) => ({ signal: (_name: string, bell: Bell) => signal(run, bell) }) },
  } as unknown as Client;
  const onInternalError: ClientDeps['onInternalError'] = (_what, error) => failed.push(error);
  const deps = {
    ...{ pool: database.pool, forNamespace: () => client, onInternalError },
    isOurs: () => Promise.resolve(true),
  };
  return makeOutbox(deps as unknown as ClientDeps);
}

test('a message that cannot be rung for, or whose ringing never ends, holds back no other, and is counted', async () => {
  const [spoilt, throwing, hanging, good, last] = await overdue(5);
  assert.ok(spoilt && throwing && hanging && good && last);
  await database.asSuperuser(`update message set answer = '{"half":' where id = $1`, [spoilt.id]);
  let end = (): void => undefined;
  const hangs = new Promise<void>((resolve) => (end = resolve));
  const rung = new Set<string>();
  let heard = (): void => undefined;
  const both = new Promise<void>((resolve) => (heard = resolve));
  const failed: unknown[] = [];
  const outbox = outboxTo(async (run, { id }) => {
    if (run === hanging.run) return hangs;
    if (run === throwing.run) throw new TypeError('a bug of ours');
    rung.add(id);
    if (rung.has(good.id) && rung.has(last.id)) heard();
  }, failed);
  outbox.start();
  await both;
  end();
  await outbox.stop();
  assert.deepEqual([...rung].sort(), [good.id, last.id].sort());
  assert.ok(
    failed.some((error) => String(error).includes('a bug of ours')),
    String(failed),
  );
});

test('a message goes with its bell and nothing more, and no longer once a step has taken it', async () => {
  const [taken, waiting] = await overdue(2);
  assert.ok(taken && waiting);
  await withTransaction(database.pool, (tx) => markTaken(tx, taken.id, 1, 1));
  let resolve = (_given: readonly [string, Bell]): void => undefined;
  const promise = new Promise<readonly [string, Bell]>((done) => (resolve = done));
  const rung: string[] = [];
  const outbox = outboxTo(async (run, bell) => {
    rung.push(bell.id);
    if (bell.id === waiting.id) resolve([run, bell]);
  });
  outbox.start();
  const [run, bell] = await promise;
  await outbox.stop();
  const { id, kind, digest, keyId, signature } = waiting;
  assert.deepEqual([run, bell], [waiting.run, { id, kind, digest, keyId, signature }]);
  assert.ok(!rung.includes(taken.id));
  assert.equal((await getMessage(database.pool, taken.id))?.rev, 1);
});

interface StartedAgain {
  readonly workflowId: string;
  readonly signal: string;
  readonly workflowIdReusePolicy: string;
  readonly args: readonly [{ readonly carried: unknown }];
}

test('a run that time should have moved gets a workflow where it is open and has none; the one that it has looks at the store', async () => {
  await forgetEarlier();
  const lost = newId('run');
  const unbegun = newId('run');
  const kept = newId('run');
  const closed = newId('run');
  const early = newId('run');
  for (const run of [lost, unbegun, kept, closed, early]) {
    await putRun(database.pool, run);
    const message: SealedMessage = {
      ...{ id: startMessageId(run), run, kind: 'start', text: '{}', digest: 'sha256:d', keyId: 'k' },
      signature: 's',
    };
    await withTransaction(database.pool, (tx) => insertMessage(tx, { message, bytes: 0 }));
    await withTransaction(database.pool, (tx) => markTaken(tx, message.id, 1, 1));
  }
  const set = (change: string, run: string): Promise<unknown> =>
    database.pool.query(`update run set ${change} where id = $1`, [run]);
  const ago = (minutes: number): string => `extract(epoch from now()) * 1000 - ${minutes * 60_000}`;
  await set(`rev = 4, state = 'open', status = 'waiting', version = 2, check_at = ${ago(30)}`, lost);
  await set(`check_at = ${ago(20)}`, unbegun);
  await set(`rev = 4, check_at = ${ago(10)}`, kept);
  await set(`rev = 4, status = 'completed', check_at = ${ago(10)}`, closed);
  await set(`rev = 4, check_at = ${ago(1)}`, early);
  const started = new Map<string, StartedAgain>();
  const described: string[] = [];
  const told: string[] = [];
  const asked: string[] = [];
  let done = (): void => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const isDone = (): void => {
    if (told.length === 2 && asked.length === 1) done();
  };
  const client = {
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
    workflow: {
      getHandle: (run: string) => ({
        describe: () => {
          described.push(run);
          if (run === lost) return Promise.reject(new WorkflowNotFoundError('gone', run, undefined));
          const ours = { type: 'run', taskQueue: 'q', runId: 'r', raw: {} };
          return Promise.resolve({ ...ours, closeTime: run === unbegun ? new Date() : undefined });
        },
        signal: (name: string) => {
          asked.push(`${run} ${name}`);
          isDone();
          return Promise.resolve();
        },
      }),
      signalWithStart: (_type: string, given: StartedAgain) => {
        started.set(given.workflowId, given);
        return Promise.resolve();
      },
    },
  } as unknown as Client;
  const outbox = makeOutbox({
    ...{ pool: database.pool, forNamespace: () => client, taskQueue: 'q' },
    isOurs: () => Promise.resolve(true),
    onLostWorkflow: ({ id }: { readonly id: string }) => {
      told.push(id);
      isDone();
    },
  } as unknown as ClientDeps);
  outbox.start();
  await all;
  await outbox.stop();
  assert.deepEqual(described.sort(), [lost, unbegun, kept].sort());
  assert.deepEqual([...told].sort(), [lost, unbegun].sort());
  assert.deepEqual(asked, [`${kept} wake`]);
  const again = started.get(lost);
  assert.deepEqual(
    [again?.signal, again?.workflowIdReusePolicy, again?.args[0].carried],
    [
      'wake',
      'ALLOW_DUPLICATE',
      {
        ...{ rev: 4, digest: null, head: '', state: 'open', status: 'waiting', version: 2, wakeAt: null },
        dropped: false,
      },
    ],
  );
  assert.equal(started.get(unbegun)?.args[0].carried, null);
  const { rows } = await database.pool.query<{ later: boolean }>(
    `select check_at > extract(epoch from now()) * 1000 as later from run where id = $1`,
    [kept],
  );
  assert.deepEqual(rows, [{ later: true }]);
});

interface Described {
  readonly type?: string;
  readonly taskQueue?: string;
  readonly raw?: object;
}

const raw = (info: object, pendingActivities: readonly object[] = []): Described => ({
  raw: { workflowExecutionInfo: info, pendingActivities },
});
const overridden = (versioningOverride: object | null): Described =>
  raw({ versioningInfo: { versioningOverride } });

const held: readonly (readonly [string, Described, string | null])[] = [
  ['of another type', { type: 'theirs' }, 'foreign'],
  ['of another task queue', { taskQueue: 'theirs' }, 'foreign'],
  ['that is paused', raw({ status: 8 }), 'paused'],
  ['with a paused activity', raw({ status: 1 }, [{ paused: false }, { paused: true }]), 'paused'],
  ['that is pinned to a version', overridden({ pinned: { version: {} } }), 'pinned'],
  ['that is pinned as an older server says it', overridden({ behavior: 1 }), 'pinned'],
  ['that is pinned as the oldest says it', overridden({ pinnedVersion: 'theirs.1' }), 'pinned'],
  ['that follows upgrades', overridden({ autoUpgrade: true, behavior: 2, pinnedVersion: '' }), null],
  ['that nobody holds', raw({ status: 1, versioningInfo: { versioningOverride: null } }, [{}]), null],
];

for (const [what, found, why] of held)
  test(`an open workflow ${what} is ${why === null ? 'left alone' : `ended, and its run has another (${why})`}, after a few bells in vain`, async () => {
    await forgetEarlier();
    const [message] = await overdue(1);
    assert.ok(message);
    const { run } = message;
    const start = { ...message, id: startMessageId(run), kind: 'start' as const };
    await withTransaction(database.pool, (tx) => insertMessage(tx, { message: start, bytes: 0 }));
    await withTransaction(database.pool, (tx) => markTaken(tx, start.id, 1, 1));
    const done: string[] = [];
    let end = (): void => undefined;
    const client = {
      withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
      workflow: {
        getHandle: (id: string, execution?: string) => ({
          describe: () => {
            done.push('looked');
            return Promise.resolve({ type: 'run', taskQueue: 'q', runId: 'held', raw: {}, ...found });
          },
          terminate: () => {
            assert.equal(id, run);
            done.push(`ended ${execution}`);
            return Promise.resolve();
          },
          signal: () => {
            done.push('rung');
            end();
            return Promise.resolve();
          },
        }),
        signalWithStart: () => {
          done.push('started');
          return Promise.resolve();
        },
      },
    } as unknown as Client;
    const deps = {
      ...{ pool: database.pool, forNamespace: () => client, taskQueue: 'q', onInternalError: assert.fail },
      onLostWorkflow: (_run: unknown, given: string) => done.push(given),
      isOurs: () => Promise.resolve(true),
      isWorkedFor: () => Promise.resolve(false),
    } as unknown as ClientDeps;
    for (const attempts of [0, 3]) {
      await database.pool.query(
        'update message set attempts = $2, next_at = clock_timestamp() where id = $1',
        [message.id, attempts],
      );
      const rung = new Promise<void>((resolve) => (end = resolve));
      const outbox = makeOutbox(deps);
      outbox.start();
      await rung;
      await outbox.stop();
    }
    const looked = why === null ? ['looked'] : ['looked', 'ended held', 'started', why];
    assert.deepEqual(done, ['rung', ...looked, 'rung']);
  });

test('an open workflow on the task queue of another deployment is left alone and not rung for, and its run is stuck, on record, once', async () => {
  await forgetEarlier();
  const [message] = await overdue(1);
  assert.ok(message);
  const { run } = message;
  const told: string[] = [];
  const described = { type: 'run', taskQueue: 'theirs', runId: 'their-execution', raw: {} };
  const client = {
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
    workflow: { getHandle: () => ({ describe: () => Promise.resolve(described) }) },
  } as unknown as Client;
  let end = (): void => undefined;
  const deps = {
    ...{ pool: database.pool, forNamespace: () => client, taskQueue: 'q', onInternalError: assert.fail },
    chain: makeServiceChain({ pool: database.pool, kind: 'api' }),
    isOurs: () => Promise.resolve(true),
    isWorkedFor: (_namespace: string, taskQueue: string) => Promise.resolve(taskQueue === 'theirs'),
    onLostWorkflow: ({ id }: { readonly id: string }, why: string) => {
      told.push(`${id} ${why}`);
      end();
    },
  } as unknown as ClientDeps;
  await database.pool.query('update run set check_at = 1 where id = $1', [run]);
  await database.pool.query('update message set attempts = 9, next_at = clock_timestamp() where id = $1', [
    message.id,
  ]);
  const stuck = new Promise<void>((resolve) => (end = resolve));
  const outbox = makeOutbox(deps);
  outbox.start();
  await stuck;
  await outbox.stop();
  const row = await getRun(database.pool, run);
  assert.ok(row !== null);
  assert.deepEqual([row.status, row.problem?.code, row.rev], ['stuck', 'HISTORY_FORKED', 1]);
  assert.match(row.problem?.message ?? '', /belongs to another deployment, on the task queue `theirs`/);
  assert.match(row.problem?.next ?? '', /COUNTERSIGN_TASK_QUEUE=theirs/);
  // What it is asked from here on is not rung for; whether it is another's, only Temporal says.
  assert.equal(await ringFor(deps, row, message), 'elsewhere');
  const failed: unknown[] = [];
  const unsaid = { withDeadline: () => Promise.reject(new Error('refused')) } as unknown as Client;
  const onInternalError: ClientDeps['onInternalError'] = (_what, error) => failed.push(error);
  const asking = { ...deps, forNamespace: () => unsaid, onInternalError };
  assert.equal(await ringFor(asking, row, message), 'unavailable');
  assert.match(String(failed), /refused/);
  assert.equal(await lookAfter(deps, row), 'elsewhere');
  // The other deployment's workflow has ended: the run was done there, and is not begun again here.
  const ended = {
    ...client,
    workflow: {
      getHandle: () => ({
        describe: () => Promise.resolve({ ...described, closeTime: new Date() }),
        signal: () => Promise.reject(new WorkflowNotFoundError('workflow not found', run, undefined)),
      }),
      signalWithStart: () => assert.fail('it was started again'),
    },
  } as unknown as Client;
  const after = { ...deps, forNamespace: () => ended };
  assert.equal(await lookAfter(after, row), 'elsewhere');
  assert.deepEqual(told, [`${run} elsewhere`]);
  const records = async (): Promise<number> => {
    const text = "select 1 from audit_record where about = $1 and type = 'run.stuck'";
    return (await database.pool.query(text, [run])).rows.length;
  };
  assert.equal(await records(), 1);
  // It went on here meanwhile, and comes to be another's once more. Whoever is told to look at what it is stuck on finds it.
  await database.pool.query("update run set status = 'running', problem = null where id = $1", [run]);
  assert.equal(await ringFor(after, { ...row, problem: null }, message), 'elsewhere');
  assert.equal((await getRun(database.pool, run))?.problem?.code, 'HISTORY_FORKED');
  assert.deepEqual(told, [`${run} elsewhere`, `${run} elsewhere`]);
  assert.equal(await records(), 2);
});

test('a run that a copy has brought along is done by the first deployment only, whatever Temporal has of it, until the copy comes to that queue', async () => {
  await forgetEarlier();
  const runs = [newId('run'), newId('run'), newId('run')] as const;
  const [open, unbegun, ended] = runs;
  for (const run of runs) {
    await putRun(database.pool, run);
    const message: SealedMessage = {
      ...{ id: startMessageId(run), run, kind: 'start', text: '{}', digest: 'sha256:d', keyId: 'k' },
      signature: 's',
    };
    await withTransaction(database.pool, (tx) => insertMessage(tx, { message, bytes: 0 }));
  }
  await database.pool.query('update run set rev = 4 where id = $1', [open]);
  await database.pool.query("update run set status = 'completed' where id = $1", [ended]);
  const home = { namespace: 'countersign-dev', namespaceId: 'n', taskQueue: 'theirs', address: null };
  const leftTo = async (run: string): Promise<unknown> => (await getRun(database.pool, run))?.leftTo;
  await withTransaction(database.pool, (tx) => leaveRuns(tx, [home], 'q'));
  assert.deepEqual(await Promise.all(runs.map(leftTo)), ['theirs', 'theirs', null]);
  const deps = {
    ...{ pool: database.pool, taskQueue: 'q', onInternalError: assert.fail, onLostWorkflow: () => undefined },
    forNamespace: () => assert.fail('Temporal was asked'),
    chain: makeServiceChain({ pool: database.pool, kind: 'api' }),
    isOurs: () => Promise.resolve(true),
  } as unknown as ClientDeps;
  for (const run of [open, unbegun]) {
    const row = await getRun(database.pool, run);
    const start = await getMessage(database.pool, startMessageId(run));
    assert.ok(row !== null && start !== null);
    assert.equal(await ringFor(deps, row, start), 'elsewhere');
    assert.equal(await lookAfter(deps, row), 'elsewhere');
    const { problem } = (await getRun(database.pool, run)) ?? {};
    assert.match(problem?.next ?? '', /COUNTERSIGN_TASK_QUEUE=theirs/);
  }
  await withTransaction(database.pool, (tx) => leaveRuns(tx, [], 'theirs'));
  assert.deepEqual(await Promise.all(runs.map(leftTo)), [null, null, null]);
});

for (const [what, isOurs] of [
  ['belong to another deployment', () => Promise.resolve(false)],
  ['may belong to another deployment, for Temporal does not say', () => Promise.reject(new Error('away'))],
] as const)
  test(`runs that ${what} are not looked for, started, rung for or ended`, async () => {
    await forgetEarlier();
    const [message] = await overdue(1);
    assert.ok(message);
    await database.pool.query(`update run set check_at = 1 where id = $1`, [message.run]);
    await database.pool.query(`update message set attempts = 9, next_at = clock_timestamp() where id = $1`, [
      message.id,
    ]);
    const asked: string[] = [];
    let end = (): void => undefined;
    const both = new Promise<void>((resolve) => (end = resolve));
    const outbox = makeOutbox({
      pool: database.pool,
      taskQueue: 'q',
      forNamespace: () => assert.fail('Temporal was asked'),
      onLostWorkflow: () => assert.fail('it was taken for lost'),
      onInternalError: () => undefined,
      isOurs: (_namespace: string, when = 'lately') => {
        asked.push(when);
        if (asked.length >= 2) end();
        return isOurs();
      },
    } as unknown as ClientDeps);
    outbox.start();
    await both;
    await outbox.stop();
    assert.ok(asked.includes('now'), asked.join());
  });
