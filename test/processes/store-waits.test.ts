import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeStoreWatch } from '../../src/processes/watch/store-waits.js';
import { startHeartbeat } from '../../src/processes/watch/heartbeat.js';
import type { Pool } from '../../src/db/index.js';
import type { StoreWaits } from '../../src/store/processes/store-waits.js';
import { action, startRun, submit, until } from '../../testing/flows.js';
import { payFlow } from '../../testing/policies.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';

// A worker that cannot reach the store has no address to be asked at: it says so itself, and is counted when it is back.

const flow = payFlow({
  gate: { roles: ['controller'], timeout: { after: '4s', action: 'deny' } },
  executor: { kind: 'noop', output: {} },
});

describe('a worker that is cut off from the store', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({
      own: true,
      policies: {
        'environments.yaml': 'environments: { dev: {} }\n',
        'roles.yaml': 'roles: { controller: { permissions: [] } }\n',
        'flows/pay.yaml': JSON.stringify({ workflows: { pay: flow } }),
      },
    });
  });
  after(() => stack.stop());

  const log = (): string => readFileSync(join(stack.home, 'worker.log'), 'utf8');
  const counted = async (name: string): Promise<number> => {
    const { body } = await stack.fetchAs('admin', 'GET', '/metrics');
    const found = new RegExp(`^countersign_store_${name}\\{process="worker"\\} (\\S+)$`, 'm').exec(
      String(body),
    );
    return Number(found?.[1] ?? 0);
  };

  it('says so while it lasts and what waited for it, and is counted once it is back', async () => {
    const started = await startRun(stack, 'agent', 'pay', {});
    const { status, body } = await submit(stack, 'agent', started.run.id, 'pay');
    assert.equal(status, 202, JSON.stringify(body));
    const before = await counted('waits_total');
    const { pid } = stack.worker;
    await stack.postgres?.kill('SIGKILL');
    await until('the worker to say so', async () =>
      Promise.resolve(/^the store does not answer/m.test(log())),
    );
    // Temporal's timer rings while the store is away: the step of the deadline waits for it.
    const due = Date.parse(body.result.approval.expiresAt as string) + 3_000;
    await until('the deadline', async () => Promise.resolve(Date.now() > due));
    await stack.postgres?.restart();
    await action(stack, 'agent', body.result.poll as string, 'expired');
    await until('the count', async () => (await counted('waits_total')) > before);
    assert.ok((await counted('wait_seconds_total')) >= 3);
    const said =
      /^the store answers again after (\d+\.\d) s, in which (\d+) steps and actions of runs waited for it$/m.exec(
        log(),
      );
    assert.ok(said !== null, log());
    assert.ok(Number(said[1]) >= 3 && Number(said[2]) >= 1, said[0]);
    assert.equal(
      log().match(/^the store does not answer/gm)?.length,
      log().match(/^the store answers/gm)?.length,
    );
    assert.deepEqual([stack.worker.running, stack.worker.pid], [true, pid]);
  });
});

describe('the spells without a store', () => {
  it('are one each, however many wait, and are counted when the store takes it', async () => {
    const lines: string[] = [];
    const added: StoreWaits[] = [];
    let time = 0;
    let takes = true;
    const add = (waits: StoreWaits): Promise<void> => {
      if (!takes) return Promise.reject(new Error('away again'));
      added.push(waits);
      return Promise.resolve();
    };
    const watch = makeStoreWatch(
      (line) => void lines.push(line),
      add,
      () => time,
    );
    await watch.answered();
    assert.deepEqual([lines, added], [[], []]);
    watch.waited();
    watch.away();
    watch.waited();
    time = 12_000;
    takes = false;
    await assert.rejects(watch.answered());
    watch.away();
    time = 13_500;
    takes = true;
    await watch.answered();
    await watch.answered();
    assert.deepEqual(added, [{ count: 2, seconds: 13.5 }]);
    assert.deepEqual(lines, [
      'the store does not answer: what runs ask for waits for it',
      'the store answers again after 12.0 s, in which 2 steps and actions of runs waited for it',
      'the store does not answer: what runs ask for waits for it',
      'the store answers again after 1.5 s, in which 0 steps and actions of runs waited for it',
    ]);
  });
});

describe('a beat that fails otherwise than for want of the store', () => {
  it('is an internal error, said once while it fails alike and again when it fails anew', async () => {
    const refused = (name: string): Error => new Error(`permission denied for table ${name}`);
    const beats = [
      () => Promise.reject(refused('store_wait')),
      () => Promise.reject(refused('store_wait')),
      () => Promise.resolve(),
      () => Promise.reject(refused('store_wait')),
      () => Promise.reject(refused('worker')),
      () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
    ];
    const noted: string[] = [];
    let away = 0;
    let beaten = (): void => undefined;
    const all = new Promise<void>((resolve) => (beaten = resolve));
    const heartbeat = startHeartbeat({
      ...{ id: 'svc_x', environments: () => [], unset: () => Promise.resolve([]), log: () => undefined },
      pool: { query: () => Promise.resolve({ rows: [], rowCount: 0 }) } as unknown as Pool,
      store: {
        away: () => void (away += 1),
        answered: () => {
          const next = beats.shift() ?? (() => Promise.resolve());
          if (beats.length === 0) beaten();
          else setImmediate(() => heartbeat.beat());
          return next();
        },
      },
      onInternalError: (what, error) => void noted.push(`${what}: ${(error as Error).message}`),
    });
    await all;
    await heartbeat.stop();
    const said = 'the heartbeat of this process: permission denied for table';
    assert.deepEqual(noted, [`${said} store_wait`, `${said} store_wait`, `${said} worker`]);
    assert.equal(away, 1);
  });
});
