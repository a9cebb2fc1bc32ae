// Mostly waits: for workers that no longer poll.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { isStillPolled, type TaskQueue } from '../../src/client/pollers.js';
import { makePool, type Pool } from '../../src/db/index.js';
import { newId } from '../../src/model/names/ids.js';
import {
  forgetHolder,
  isWorkedFor,
  takeQueue,
  readHolder,
} from '../../src/processes/ownership/queue-holder.js';
import { makeStoreOwnership } from '../../src/processes/ownership/store-ownership.js';
import { homeStoreOf, waitUntilOurs } from '../../src/processes/ownership/own-store.js';
import type { StoreOwner } from '../../src/processes/ownership/store-owner.js';
import { putSigningKey } from '../../src/store/people/signing-keys.js';
import { forgetTemporal, temporalHomes } from '../../src/store/processes/temporal-home.js';
import { asSuperuser, makeDatabase, serverUrl, type Database } from '../../testing/servers/database.js';
import { action, decide, getRun, startRun, submit, until } from '../../testing/flows.js';
import { projectRoot } from '../../testing/paths.js';
import { inCampaigns, inCampaignsUnless } from '../../testing/samples.js';
import { testVariable } from '../../testing/servers/servers.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';
import { writeFiles } from '../../testing/files.js';

// A store and a Temporal belong together. Another deployment's processes would find none of its runs in their own Temporal or
// on their own task queue, and would take them for lost.

const policies = {
  'roles.yaml': 'version: 1\nroles: { finance.controller: { permissions: [] } }\n',
  'flows/f.yaml': `
version: 1
workflows:
  f:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          go: { target: done, gate: { roles: [finance.controller] }, executor: { kind: noop } }
      done: { terminal: true }
`,
};

/** A run that waits for its approval. */
async function parked(stack: Stack): Promise<{ run: string; approval: string; poll: string }> {
  const { run } = await startRun(stack, 'agent', 'f', {});
  const { status, body } = await submit(stack, 'agent', run.id, 'go');
  assert.equal(status, 202, JSON.stringify(body));
  return { run: run.id, approval: body.result.approval.id, poll: body.result.poll };
}

async function isDone(stack: Stack, { approval, poll }: { approval: string; poll: string }): Promise<void> {
  const { status, body } = await decide(stack, 'finance', approval, 'approve');
  assert.equal(status, 200, JSON.stringify(body));
  await action(stack, 'agent', poll, 'executed');
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A process of the product with the stack's settings and others instead, to its end. */
function run(
  stack: Stack,
  name: string,
  env: Readonly<Record<string, string>>,
  args: string[] = [],
  /** It is ended once it has said this. */
  until: RegExp | null = null,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(projectRoot, `dist/processes/${name}.js`), ...args], {
    cwd: projectRoot,
    env: { ...process.env, ...stack.settings, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 150_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (until?.test(output) === true) child.kill('SIGTERM');
    });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

describe('a store that belongs to one deployment', () => {
  let stack: Stack;
  let admin: Pool;
  before(async () => {
    stack = await startStack({ policies });
    admin = makePool({ url: stack.databaseUrl, applicationName: 'test', max: 1 });
  });
  after(async () => {
    await admin.end();
    await stack.stop();
  });

  for (const name of ['api', 'worker'])
    it(
      `is not taken by the ${name} of another task queue, which says what to do and touches no run`,
      inCampaignsUnless(name === 'worker'),
      async () => {
        const waiting = await parked(stack);
        const { code, output } = await run(stack, name, { COUNTERSIGN_TASK_QUEUE: 'other' });
        assert.equal(code, 1, output);
        assert.match(
          output,
          /this store belongs to another deployment: its runs are on the task queue `queue-/,
        );
        assert.match(output, /COUNTERSIGN_TASK_QUEUE says `other`; nothing of them is touched/);
        assert.match(output, /run `countersign migrate --forget-temporal` once/);
        assert.equal((await getRun(stack, 'agent', waiting.run)).run.status, 'waiting');
        await isDone(stack, waiting);
      },
    );

  it('has nothing of its policies, keys or flows changed by the start of another deployment’s API', async () => {
    const kept = async (): Promise<unknown> => {
      const { rows } = await admin.query(
        `select (select json_agg(hash order by seq) from policy_set) as policies, (select count(*) from signing_key) as signing,
                (select count(*) from api_key) as keys, (select json_agg(f.* order by name, version) from flow_version f) as flows`,
      );
      return rows[0];
    };
    const before = await kept();
    const elsewhere = { 'environments.yaml': 'environments: { qa: {} }\n', ...policies };
    const folder = join(stack.home, 'strange');
    writeFiles(folder, elsewhere);
    const strange = {
      COUNTERSIGN_POLICIES: folder,
      COUNTERSIGN_DEV_KEYS: '1',
      COUNTERSIGN_HOME: join(stack.home, 'strange-home'),
    };
    const other = await run(stack, 'api', { ...strange, COUNTERSIGN_TASK_QUEUE: 'other' });
    assert.equal(other.code, 1, other.output);
    const away = await run(
      stack,
      'api',
      { ...strange, TEMPORAL_ADDRESS: '127.0.0.1:9' },
      [],
      /waiting for Temporal \(.+\) to say/,
    );
    assert.match(away.output, /waiting for Temporal \(.+\) to say/);
    assert.doesNotMatch(away.output, /listening/);
    assert.deepEqual(await kept(), before);
  });

  it(
    'is not given away while a process works with it; once none does, workers that poll its queue are looked for',
    inCampaigns,
    async () => {
      const waiting = await parked(stack);
      const forget = (until: RegExp | null = null): Promise<Ended> =>
        run(stack, 'migrate', {}, ['--forget-temporal'], until);
      for (const [stop, who] of [
        [null, /it is still worked with \(1 worker processes, countersign api/],
        [stack.worker, /it is still worked with \(countersign api/],
      ] as const) {
        await stop?.kill('SIGTERM');
        const { code, output } = await forget();
        assert.equal(code, 1, output);
        assert.match(output, who);
      }
      await stack.api.kill('SIGTERM');
      const looks = /looking whether workers still poll the task queue/;
      assert.match((await forget(looks)).output, looks);
      await Promise.all([stack.api.restart(), stack.worker.restart()]);
      await isDone(stack, waiting);
    },
  );
});

describe('a store that is nobody’s', inCampaigns, () => {
  let stack: Stack;
  let database: Database;
  before(async () => {
    const both = { 'environments.yaml': 'environments: { dev: {}, staging: {} }\n' };
    [stack, database] = await Promise.all([startStack({ policies: both }), makeDatabase()]);
  });
  after(() => Promise.all([stack.stop(), database.drop()]));

  it('is had by one of two deployments that come at once, and only that one’s policies come into force', async () => {
    const environments = { one: 'dev', two: 'staging' };
    const started = (['one', 'two'] as const).map((queue) => {
      const folder = join(stack.home, queue);
      // Of its own, so that the two take no namespace from each other.
      const files = {
        ...policies,
        'environments.yaml': `environments: { ${environments[queue]}: {} }\n`,
        'flows/f.yaml': policies['flows/f.yaml'].replace(
          '    owner',
          `    environment: ${environments[queue]}\n    owner`,
        ),
      };
      writeFiles(folder, files);
      const env = {
        DATABASE_URL: database.url,
        COUNTERSIGN_HOME: join(stack.home, `${queue}-home`),
        COUNTERSIGN_POLICIES: folder,
        COUNTERSIGN_TASK_QUEUE: queue,
      };
      return run(stack, 'api', env, [], /listening on/);
    });
    const [one, two] = await Promise.all(started);
    assert.ok(one !== undefined && two !== undefined);
    const had = [one, two].filter(({ output }) => output.includes('listening on'));
    assert.equal(had.length, 1, `${one.output}\n${two.output}`);
    const left = had[0] === one ? two : one;
    assert.equal(left.code, 1, left.output);
    assert.match(left.output, /this store belongs to another deployment/);
    const { rows } = await database.pool.query<{ sets: number; queue: string }>(
      'select (select count(*)::int from policy_set) as sets, task_queue as queue from temporal_home',
    );
    assert.deepEqual(rows, [{ sets: 1, queue: had[0] === one ? 'one' : 'two' }]);
  });
});

describe('a task queue of a Temporal that is worked for a store', inCampaigns, () => {
  let stack: Stack;
  let database: Database;
  before(async () => {
    [stack, database] = await Promise.all([startStack({ policies }), makeDatabase()]);
  });
  after(() => Promise.all([stack.stop(), database.drop()]));

  const elsewhere = () => ({
    DATABASE_URL: database.url,
    COUNTERSIGN_HOME: join(stack.home, 'elsewhere'),
  });
  const empty = async (): Promise<void> => {
    const { rows } = await database.pool.query<{ sets: number; homes: number }>(
      'select (select count(*)::int from policy_set) as sets, (select count(*)::int from temporal_home) as homes',
    );
    assert.deepEqual(rows, [{ sets: 0, homes: 0 }]);
  };

  it('is not taken by a deployment with another store, which says what to do; what waits there is done', async () => {
    const waiting = await parked(stack);
    const { code, output } = await run(stack, 'api', elsewhere());
    assert.equal(code, 1, output);
    assert.match(
      output,
      /the task queue `queue-.+` of this Temporal \(namespace `countersign-dev`\) belongs to/,
    );
    assert.match(output, /COUNTERSIGN_TASK_QUEUE.+run `countersign migrate --forget-temporal` once/);
    await empty();
    // A worker waits until an API has loaded policies: here one that has a queue of its own.
    const own = { COUNTERSIGN_TASK_QUEUE: 'own', ...elsewhere() };
    assert.match((await run(stack, 'api', own, [], /listening on/)).output, /listening on/);
    await database.pool.query('delete from temporal_home', []);
    const worker = await run(stack, 'worker', elsewhere());
    assert.equal(worker.code, 1, worker.output);
    assert.match(worker.output, /belongs to another deployment, whose store is/);
    await isDone(stack, waiting);
  });

  it('is not given to another store while it is polled', async () => {
    const { code, output } = await whileWorking(
      stack,
      run(stack, 'migrate', elsewhere(), ['--forget-temporal']),
    );
    assert.equal(code, 1, output);
    assert.match(output, /is not given to another deployment: workers poll it/);
  });
});

/** Whoever works asks for more work. */
async function whileWorking<T>(stack: Stack, doing: Promise<T>): Promise<T> {
  let isDone = false;
  const done = doing.finally(() => (isDone = true));
  while (!isDone) await parked(stack);
  return done;
}

describe('a copy of a store, on the same Temporal with a task queue of its own', inCampaigns, () => {
  let stack: Stack;
  let connection: Connection;
  before(async () => {
    stack = await startStack({
      policies: { 'environments.yaml': 'environments: { dev: {} }\n', ...policies },
    });
    connection = await Connection.connect({ address: stack.temporalAddress });
  });
  after(async () => {
    await connection.close();
    await stack.stop();
  });

  it('leaves the first deployment its queue and its workflows, and says of each run that it is not done here', async () => {
    const waiting = await parked(stack);
    const copied = await copyOf(stack);
    const env = { DATABASE_URL: copied.url, COUNTERSIGN_TASK_QUEUE: `${stack.taskQueue}-copy` };
    try {
      const moved = await whileWorking(stack, run(stack, 'migrate', env, ['--forget-temporal']));
      assert.equal(moved.code, 0, moved.output);
      assert.match(
        moved.output,
        /workers poll the task queue `queue-.+`: it and the runs there are left to them/,
      );
      // The first deployment gives its queue up, for it moves: its runs stay its own.
      const queue = { namespace: 'countersign-dev', taskQueue: stack.taskQueue };
      const holder = await readHolder(connection, queue);
      assert.ok(holder !== null);
      await forgetHolder(connection, queue, holder);
      await asSuperuser(copied.url, 'update run set check_at = 0 where id = $1', [waiting.run]);
      const { output } = await run(stack, 'api', env, [], /is left to that/);
      assert.match(output, /it is another deployment's, or may be, and is left to that: it is stuck here/);
      const { rows } = await asSuperuser(
        copied.url,
        `select r.status, r.rev, r.problem ->> 'message' as message, (select count(*)::int from audit_record where about = r.id and type = 'run.stuck') as records
           from run r where id = $1`,
        [waiting.run],
      );
      const [{ status, message, records }] = rows as [{ status: string; message: string; records: number }];
      assert.deepEqual([status, records], ['stuck', 1]);
      assert.ok(message.includes(`on the task queue \`${stack.taskQueue}\``), message);
      const handle = new Client({ connection, namespace: 'countersign-dev' }).workflow.getHandle(waiting.run);
      const { status: open, taskQueue } = await handle.describe();
      assert.deepEqual([open.name, taskQueue], ['RUNNING', stack.taskQueue]);
      await isDone(stack, waiting);
      // It does not come to the first one's queue while that one works, though both stores have one name.
      await takeQueue(connection, queue, holder.store, 'where free');
      const back = { ...env, COUNTERSIGN_TASK_QUEUE: stack.taskQueue };
      const kept = await whileWorking(stack, run(stack, 'migrate', back, ['--forget-temporal']));
      assert.equal(kept.code, 1, kept.output);
      assert.match(kept.output, /is not given to another deployment: workers poll it/);
    } finally {
      await copied.drop();
    }
  });
});

/** Whoever connects there is connected with the address once `before` is done. */
async function throughTo(
  address: string,
  before: () => Promise<unknown>,
): Promise<{ address: string; close(): void }> {
  const [host = '', port = ''] = address.split(':');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void before().then(() => {
      const there = connect(Number(port), host).on('error', () => undefined);
      socket.pipe(there).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

describe('a deployment that moves to another task queue', inCampaigns, () => {
  let stack: Stack;
  let database: Database;
  let connection: Connection;
  before(async () => {
    const files = { 'environments.yaml': 'environments: { dev: {} }\n', ...policies };
    [stack, database] = await Promise.all([startStack({ policies: files }), makeDatabase()]);
    connection = await Connection.connect({ address: stack.temporalAddress });
  });
  after(async () => {
    await connection.close();
    await Promise.all([stack.stop(), database.drop()]);
  });

  /** The stack's own processes are stopped, and one of its store with another queue, and what else is given, looks after the run. */
  async function lookElsewhere(waiting: string, env: Readonly<Record<string, string>>, until: RegExp) {
    await Promise.all([stack.api.kill('SIGTERM'), stack.worker.kill('SIGTERM')]);
    await isOverdue(waiting);
    const { output } = await run(stack, 'api', { COUNTERSIGN_TASK_QUEUE: newId('svc'), ...env }, [], until);
    assert.match(output, until);
  }
  const isOverdue = (waiting: string): Promise<unknown> =>
    asSuperuser(stack.databaseUrl, 'update run set check_at = 0 where id = $1', [waiting]);
  /** As `migrate --forget-temporal` leaves the store. */
  const isNobodys = (): Promise<unknown> => asSuperuser(stack.databaseUrl, 'delete from temporal_home');

  it('leaves its old queue also where the command failed half-way and is run again', async () => {
    const home = join(stack.home, 'moving');
    const at = (taskQueue: string) => ({
      DATABASE_URL: database.url,
      COUNTERSIGN_HOME: home,
      COUNTERSIGN_TASK_QUEUE: taskQueue,
    });
    const [one, two] = [newId('svc'), newId('svc')];
    assert.match((await run(stack, 'api', at(one), [], /listening on/)).output, /listening on/);
    const broken = join(stack.home, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'roles.yaml'), 'roles: 7\n');
    const failed = await run(stack, 'migrate', { ...at(two), COUNTERSIGN_POLICIES: broken }, [
      '--forget-temporal',
    ]);
    assert.equal(failed.code, 1, failed.output);
    assert.match(failed.output, /roles\.yaml/);
    const again = await run(stack, 'migrate', at(two), ['--forget-temporal']);
    assert.equal(again.code, 0, again.output);
    assert.match(again.output, new RegExp(`the task queue \`${one}\` of .+ belongs to no store now`));
    assert.equal(await readHolder(connection, { namespace: 'countersign-dev', taskQueue: one }), null);
    assert.match((await run(stack, 'api', at(two), [], /listening on/)).output, /listening on/);
  });

  for (const [isHeld, refusal] of [
    [false, /the store is not given to another Temporal: it is still worked with \(countersign api\)/],
    [true, /is not given away: this store is worked with again \(countersign api\)/],
  ] as const)
    it(`keeps its store${isHeld ? ' and its queue' : ''} where a process begins to work with it while the command runs`, async () => {
      const own = await makeDatabase();
      const queue = { namespace: 'countersign-dev', taskQueue: newId('svc') };
      const { rows } = await own.pool.query<{ id: string }>('select id from store_identity');
      if (isHeld) await takeQueue(connection, queue, String(rows[0]?.id), 'where free');
      await own.asSuperuser(
        "insert into temporal_home (namespace, namespace_id, task_queue) values ('countersign-dev', 'another', 'q')",
      );
      const api = makePool({ url: own.url, applicationName: 'countersign api', max: 1 });
      // Temporal is asked after the store was: by then the process is there.
      const working: Promise<{ release(): void }>[] = [];
      const way = await throughTo(stack.temporalAddress, () => (working[0] ??= api.connect()));
      try {
        const env = {
          DATABASE_URL: own.url,
          TEMPORAL_ADDRESS: way.address,
          COUNTERSIGN_TASK_QUEUE: queue.taskQueue,
        };
        const { code, output } = await run(stack, 'migrate', env, ['--forget-temporal']);
        assert.equal(code, 1, output);
        assert.match(output, refusal);
        assert.equal((await temporalHomes(own.pool)).length, 1);
        assert.equal((await readHolder(connection, queue)) !== null, isHeld);
      } finally {
        way.close();
        for (const one of working) (await one).release();
        await Promise.all([api.end(), own.drop()]);
      }
    });

  it('finds its runs as they were where it comes back to the queue on which they are', async () => {
    const waiting = await parked(stack);
    await isNobodys();
    await lookElsewhere(waiting.run, {}, /is left to that: it is stuck here/);
    await isNobodys();
    await Promise.all([stack.api.restart(), stack.worker.restart()]);
    assert.equal((await getRun(stack, 'agent', waiting.run)).run.status, 'stuck');
    await isOverdue(waiting.run);
    const { run: back } = await until('the run as it was', async () => {
      const found = await getRun(stack, 'agent', waiting.run);
      return found.run.status === 'waiting' ? found : null;
    });
    assert.equal(back.problem ?? null, null);
    await isDone(stack, waiting);
  });

  it('has its runs with it where Temporal is its own, and nothing of them is taken for another deployment’s', async () => {
    const waiting = await parked(stack);
    const own = { COUNTERSIGN_OWN_SERVERS: '1', COUNTERSIGN_OWN_TEMPORAL: '1' };
    await lookElsewhere(waiting.run, own, /it has another one now, and is stuck until somebody retries/);
  });
});

/** A copy of the stack's store as it is now, made while none of its processes is connected. */
async function copyOf(stack: Stack): Promise<{ readonly url: string; drop(): Promise<unknown> }> {
  const url = new URL(stack.databaseUrl);
  const source = url.pathname.slice(1);
  const name = `${source}_copy`;
  url.pathname = `/${name}`;
  const admin = serverUrl({ database: 'postgres' });
  await Promise.all([stack.api.kill('SIGTERM'), stack.worker.kill('SIGTERM')]);
  await until('the copy', () =>
    asSuperuser(admin, `create database "${name}" template "${source}"`).then(
      () => true,
      () => null,
    ),
  );
  await Promise.all([stack.api.restart(), stack.worker.restart()]);
  return { url: url.href, drop: () => asSuperuser(admin, `drop database if exists "${name}" with (force)`) };
}

describe('whose a task queue is', () => {
  let connection: Connection;
  let database: Database;
  before(async () => {
    connection = await Connection.connect({ address: testVariable('TEST_TEMPORAL_ADDRESS') });
    database = await makeDatabase();
  });
  after(() => Promise.all([connection.close(), database.drop()]));

  const queue = (): TaskQueue => ({ namespace: 'countersign-dev', taskQueue: newId('svc') });

  it('is one of many who come at once, until it is forgotten', async () => {
    const at = queue();
    const stores = ['a', 'b', 'c', 'd'];
    const held = await Promise.all(stores.map((store) => takeQueue(connection, at, store, 'where free')));
    assert.equal(new Set(held).size, 1, String(held));
    const [holder] = held;
    assert.ok(typeof holder === 'string');
    assert.equal(await takeQueue(connection, at, 'e', 'where free'), holder);
    assert.equal(await takeQueue(connection, at, 'e', 'never'), holder);
    const seen = await readHolder(connection, at);
    assert.ok(seen !== null);
    assert.equal(await forgetHolder(connection, at, seen), null);
    assert.equal(await takeQueue(connection, at, 'e', 'never'), null);
    assert.equal(await takeQueue(connection, at, 'e', 'where free'), 'e');
    assert.equal(await takeQueue(connection, at, 'f', 'always'), 'f');
    assert.equal(await takeQueue(connection, at, 'e', 'where free'), 'f');
  });

  it('is worked for that store and its copies, and for no other, as long as it has a holder', async () => {
    const at = queue();
    const isFor = (store: string): Promise<boolean> => isWorkedFor(connection, at, store);
    assert.deepEqual([await isFor('a'), await isFor('b')], [false, false]);
    await takeQueue(connection, at, 'a', 'where free');
    assert.deepEqual([await isFor('a'), await isFor('b')], [true, false]);
  });

  it('is still polled only where a worker asks for work again', async () => {
    const at = queue();
    assert.equal(await isStillPolled(connection, at, 1_500), false);
    const poll = (): Promise<unknown> =>
      connection
        .withDeadline(Date.now() + 3_000, () =>
          connection.workflowService.pollWorkflowTaskQueue({
            namespace: at.namespace,
            taskQueue: { name: at.taskQueue },
            identity: 'test',
          }),
        )
        .catch(() => null);
    await poll();
    assert.equal(await isStillPolled(connection, at, 1_500), false);
    const [isPolledAgain] = await Promise.all([isStillPolled(connection, at, 30_000), delay(500).then(poll)]);
    assert.equal(isPolledAgain, true);
  });

  it('is still polled where Temporal has forgotten who polled it, and a worker asks for work again', async () => {
    const polls: object[][] = [[], [], [{ lastAccessTime: { seconds: 7, nanos: 0 } }]];
    const describeTaskQueue = () => Promise.resolve({ pollers: polls.shift() });
    const restarted = { workflowService: { describeTaskQueue } } as unknown as Connection;
    assert.equal(await isStillPolled(restarted, queue(), 30_000), true);
  });

  it('is nobody else’s where a stranger has taken the workflow of that name, which is named and can be forgotten', async () => {
    const at = queue();
    const id = `countersign-store:${at.taskQueue}`;
    const { workflow } = new Client({ connection, namespace: at.namespace });
    await workflow.start('anything', { workflowId: id, taskQueue: id });
    const held = await takeQueue(connection, at, 'e', 'where free');
    assert.equal(held, `unnamed, by workflow ${id}`);
    const seen = await readHolder(connection, at);
    assert.ok(seen !== null);
    assert.equal(await forgetHolder(connection, at, seen), null);
    assert.equal(await takeQueue(connection, at, 'e', 'where free'), 'e');
  });

  it('stays with whoever has come since its holder was seen', async () => {
    const at = queue();
    assert.equal(await takeQueue(connection, at, 'gone', 'where free'), 'gone');
    const seen = await readHolder(connection, at);
    assert.ok(seen !== null);
    assert.equal(await forgetHolder(connection, at, seen), null);
    for (const store of ['came', 'gone']) {
      assert.equal(await takeQueue(connection, at, store, 'always'), store);
      const since = await readHolder(connection, at);
      // Also where it is the same store again.
      assert.deepEqual(await forgetHolder(connection, at, seen), since);
      assert.equal(since?.store, store);
    }
  });
});

describe('whose a store is', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
  });
  after(() => database.drop());

  const told: string[] = [];
  const belonging = (
    taskQueue: string,
    id: (namespace: string) => Promise<string | null>,
    alone = false,
    address = 'here:1',
    signingKey = 'stranger',
  ) =>
    makeStoreOwnership(
      {
        ...{ store: homeStoreOf(database.pool), taskQueue, alone, namespaceId: id, address, signingKey },
        queueHolder: (_namespace, own) => Promise.resolve(own),
        ownTemporal: false,
      },
      (message) => told.push(message),
    );
  const is = (id: string | null) => () => Promise.resolve(id);
  const away = (): Promise<string | null> => Promise.reject(new Error('unavailable'));

  it('says who came first, at whatever address that Temporal is by now', async () => {
    const first = belonging('q', is('id-1'));
    assert.deepEqual(await first.take(['countersign-dev']), { status: 'ours' });
    assert.equal(await belonging('q', is('id-1')).isOurs('countersign-dev'), true);
    const other = belonging('q', is('id-2'));
    const taken = await other.take(['countersign-dev']);
    const sentence = taken.status === 'foreign' ? taken.message : '';
    assert.match(
      sentence,
      /its runs are in the Temporal whose namespace `countersign-dev` has the id `id-1`, and TEMPORAL_ADDRESS leads to one where it has `id-2`/,
    );
    assert.equal(await other.isOurs('countersign-dev', 'now'), false);
    assert.deepEqual(told, [sentence]);
    assert.equal(await first.isOurs('countersign-dev', 'now'), true);
  });

  it('belongs to nobody where Temporal does not say, and stays whose it was lately', async () => {
    const unsaid = { status: 'unknown', why: 'unavailable' };
    assert.deepEqual(await belonging('q', away).take(['countersign-dev']), unsaid);
    await assert.rejects(belonging('q', away).isOurs('countersign-dev'), /unavailable/);
    assert.equal(await belonging('q', is(null)).isOurs('countersign-none'), false);
    let id = is('id-1');
    const one = belonging('q', () => id());
    assert.equal(await one.isOurs('countersign-dev'), true);
    id = away;
    assert.equal(await one.isOurs('countersign-dev'), true);
    await assert.rejects(one.isOurs('countersign-dev', 'now'), /unavailable/);
    id = is('id-2');
    assert.equal(await one.isOurs('countersign-dev', 'now'), false);
  });

  it('is told of the queue without Temporal, and is taken anew where both are of one folder', async () => {
    assert.match(JSON.stringify(await belonging('r', away).take([])), /on the task queue `q` of Temporal/);
    const alone = belonging('r', is('id-3'), true);
    assert.deepEqual(await alone.take(['countersign-dev']), { status: 'ours' });
    assert.equal(await alone.isOurs('countersign-dev'), true);
    assert.equal(await belonging('q', is('id-1')).isOurs('countersign-dev'), false);
  });

  /** `countersign-dev` is that of the Temporal with `id-1`, and of the queue `q`. */
  async function takenAnew(): Promise<void> {
    await forgetTemporal(database.pool, await temporalHomes(database.pool));
    assert.equal(await belonging('q', is('id-1')).isOurs('countersign-dev'), true);
  }

  it('is, as a whole, of whom one of its namespaces is, whatever environments there are', async () => {
    await takenAnew();
    const ours = belonging('q', (name) => Promise.resolve(name === 'countersign-dev' ? 'id-1' : null));
    assert.deepEqual(await ours.owner(), { status: 'ours' });
    const stranger = await belonging('q', is(null)).owner();
    assert.equal(stranger.status, 'foreign');
    assert.match(JSON.stringify(stranger), /leads to one without it/);
    assert.equal((await belonging('r', away).owner()).status, 'foreign');
  });

  it('is waited for where Temporal does not say whose it is, but where it was last met at this address', async () => {
    await takenAnew();
    await putSigningKey(database.pool, { keyId: 'ours', publicKey: 'x', sealed: null });
    const at = (address: string, key: string, id: (name: string) => Promise<string | null> = away) =>
      belonging('q', id, false, address, key);
    assert.deepEqual(await at('here:1', 'ours').owner(), { status: 'ours' });
    for (const elsewhere of [at('elsewhere:1', 'ours'), at('here:1', 'stranger')])
      assert.deepEqual(await elsewhere.owner(), { status: 'unknown', why: 'unavailable' });
    // One namespace that is another Temporal's shows it, whatever the others do.
    const two = (name: string) => Promise.resolve(name === 'countersign-dev' ? 'id-1' : 'id-s');
    assert.equal(await belonging('q', two).isOurs('countersign-staging'), true);
    const half = (name: string) => (name === 'countersign-dev' ? Promise.resolve('id-9') : away());
    assert.equal((await at('here:1', 'ours', half).owner()).status, 'foreign');
    const answers: StoreOwner[] = [
      await at('here:1', 'stranger').owner(),
      { status: 'foreign', message: 'theirs' },
    ];
    const said: string[] = [];
    const asked = waitUntilOurs(
      { owner: () => Promise.resolve(answers.shift() as StoreOwner) },
      'temporal:7233',
      (line) => said.push(line),
    );
    await assert.rejects(asked, /theirs/);
    assert.match(
      said.join(),
      /waiting for Temporal \(at `temporal:7233`, TEMPORAL_ADDRESS: .+\) to say whether this store is of this deployment/,
    );
  });

  it('is not taken back by a process that had it when it was given away', async () => {
    await takenAnew();
    const old = belonging('q', is('id-1'));
    assert.equal(await old.isOurs('countersign-dev', 'now'), true);
    await forgetTemporal(database.pool, await temporalHomes(database.pool));
    assert.equal(await old.isOurs('countersign-dev', 'now'), false);
    assert.equal(await old.isOurs('countersign-dev', 'now'), false);
    assert.equal(await old.isOurs('countersign-staging', 'now'), false);
    assert.match(told.at(-1) ?? '', /was given to another deployment .* while this process worked with it/);
    assert.equal(await belonging('moved', is('id-9')).isOurs('countersign-dev'), true);
  });

  it('stays with whoever has taken it since it was seen', async () => {
    await takenAnew();
    const seen = await temporalHomes(database.pool);
    await forgetTemporal(database.pool, seen);
    // The same namespace of another Temporal, and another namespace of the same.
    assert.equal(await belonging('q', is('id-2')).isOurs('countersign-dev'), true);
    const left = await forgetTemporal(database.pool, [
      ...seen,
      ...seen.map((one) => ({ ...one, namespace: 'x' })),
    ]);
    assert.deepEqual(
      left.map(({ namespaceId }) => namespaceId),
      ['id-2'],
    );
    await takenAnew();
  });

  it('is not taken where nobody says whose the task queue is', async () => {
    await forgetTemporal(database.pool, await temporalHomes(database.pool));
    const unsaid = makeStoreOwnership(
      {
        ...{ store: homeStoreOf(database.pool), taskQueue: 'unsaid', alone: false, ownTemporal: false },
        ...{ address: 'here:1', signingKey: 'k' },
        namespaceId: is('id-1'),
        queueHolder: () => Promise.resolve(null),
      },
      () => undefined,
    );
    await assert.rejects(unsaid.isOurs('countersign-unsaid', 'now'), /does not say whose its task queue is/);
    const { rows } = await database.pool.query(
      "select 1 from temporal_home where namespace = 'countersign-unsaid'",
    );
    assert.deepEqual(rows, []);
  });

  it('is one of two who come to an empty store at once, whatever namespaces they have', async () => {
    const pools = [1, 2].map((at) => makePool({ url: database.url, applicationName: `test ${at}`, max: 1 }));
    for (const namespaces of [
      ['countersign-both', 'countersign-both'],
      ['countersign-one', 'countersign-two'],
    ]) {
      await forgetTemporal(database.pool, await temporalHomes(database.pool));
      // Both have seen that it is nobody's before either takes it.
      let looked = 0;
      let bothLooked = (): void => undefined;
      const looks = new Promise<void>((resolve) => (bothLooked = resolve));
      const both = await Promise.all(
        pools.map((pool, at) =>
          makeStoreOwnership(
            {
              ...{ store: homeStoreOf(pool), taskQueue: 'q', alone: false, ownTemporal: false },
              ...{ address: 'here:1', signingKey: 'k' },
              namespaceId: (name) => Promise.resolve(name === namespaces[at] ? `id-${at}` : null),
              queueHolder: async (_namespace, own) => {
                looked += 1;
                if (looked === 2) bothLooked();
                await looks;
                return own;
              },
            },
            () => undefined,
          ).isOurs(namespaces[at] as string),
        ),
      );
      assert.equal(both.filter(Boolean).length, 1, namespaces.join());
      assert.equal((await temporalHomes(database.pool)).length, 1);
    }
    await Promise.all(pools.map((pool) => pool.end()));
  });
});
