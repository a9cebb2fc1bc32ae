import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freePort } from '../../src/embedded/process/ports.js';
import { newId } from '../../src/model/names/ids.js';
import { writeFiles } from '../../testing/files.js';
import { projectRoot } from '../../testing/paths.js';
import { asSuperuser, serverUrl } from '../../testing/servers/database.js';
import {
  makeEmptyDatabase,
  makeMigratedDatabase,
  temporaryFolder,
  testVariable,
} from '../../testing/servers/servers.js';

// An API process migrates its database when it starts, where its login may.

/** Starts an API process on this database until it listens or ends by itself; gives its exit code, null if it was listening. */
async function startApi(
  databaseUrl: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const home = temporaryFolder('unmigrated');
  const policies = join(home, 'policies');
  writeFiles(policies, { 'environments.yaml': 'environments: { dev: {} }\n' });
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: testVariable('TEST_TEMPORAL_ADDRESS'),
    COUNTERSIGN_HOME: home,
    COUNTERSIGN_POLICIES: policies,
    COUNTERSIGN_TASK_QUEUE: newId('svc'),
    PORT: String(await freePort()),
  };
  const child = spawn(process.execPath, [join(projectRoot, 'dist', 'processes', 'api.js')], {
    cwd: projectRoot,
    env,
  });
  let output = '';
  let listens = false;
  const read = (chunk: Buffer): void => {
    output += chunk.toString('utf8');
    if (listens || !/^listening on /m.test(output)) return;
    listens = true;
    child.kill('SIGTERM');
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const [code] = (await once(child, 'close')) as [number | null];
  rmSync(home, { recursive: true, force: true });
  return { code: listens ? null : code, output };
}

/** Starts a worker on this database until it says what it waits for. */
async function whatWorkerWaitsFor(
  databaseUrl: string,
  temporal = testVariable('TEST_TEMPORAL_ADDRESS'),
): Promise<string> {
  const home = temporaryFolder('unmigrated');
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporal,
    COUNTERSIGN_HOME: home,
    COUNTERSIGN_TASK_QUEUE: newId('svc'),
  };
  const child = spawn(process.execPath, [join(projectRoot, 'dist', 'processes', 'worker.js')], {
    cwd: projectRoot,
    env,
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
    if (/^the worker waits: .+$/m.test(output)) child.kill('SIGKILL');
  });
  await once(child, 'close');
  rmSync(home, { recursive: true, force: true });
  return output;
}

describe('a worker before which nobody has prepared the store', () => {
  it('says that it waits for the tables', async () => {
    const database = await makeEmptyDatabase();
    const output = await whatWorkerWaitsFor(database.url);
    assert.match(output, /^the worker waits: the database has no tables of Countersign yet: start an API/m);
    await database.drop();
  });

  it('says that it waits for the policies', async () => {
    const database = await makeMigratedDatabase();
    const output = await whatWorkerWaitsFor(database.url);
    assert.match(output, /^the worker waits: no API process has loaded policies into this store yet; /m);
    await database.drop();
  });

  it('says that it waits for Temporal, and where, and which keys it has made', async () => {
    const database = await makeMigratedDatabase();
    assert.equal((await startApi(database.url)).code, null);
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    for (const [address, why] of [
      ['127.0.0.1:9', 'nothing listens there'],
      ['no-such-host.invalid:7233', 'its name is not known'],
      [`127.0.0.1:${port}`, 'no answer within 3000 ms'],
    ]) {
      const output = await whatWorkerWaitsFor(database.url, address);
      assert.ok(
        output.includes(
          `the worker waits: Temporal at \`${address}\` cannot be used (${why}): start it, or correct TEMPORAL_ADDRESS\n`,
        ),
        output,
      );
      assert.match(
        output,
        /^made the key file `.+\/keys\/kek`: all processes of this deployment need the same$/m,
      );
    }
    silent.close();
    await database.drop();
  });

  it('says that its login may not read', async () => {
    const database = await makeMigratedDatabase();
    const user = newId('svc');
    const password = 'only-for-this-test';
    await asSuperuser(serverUrl(), `create role ${user} login password '${password}'`);
    const url = serverUrl({ user, password, database: new URL(database.url).pathname.slice(1) });
    assert.match(
      await whatWorkerWaitsFor(url),
      /^the worker waits: its login may not read the tables: make it a/m,
    );
    await database.drop();
    await asSuperuser(serverUrl(), `drop role ${user}`);
  });
});

describe('an API process whose database cannot be brought to the schema', () => {
  for (const [why, spoil, said] of [
    [
      'holds a table of another application',
      async (url: string) => {
        await asSuperuser(url, 'create table approval (id int)');
        return url;
      },
      /^the API ends: the database cannot be migrated \(relation "approval" already exists\): it holds something of that name, .+: give DATABASE_URL an empty database, or/m,
    ],
    [
      'has no schema of its search path',
      (url: string) => {
        const nowhere = new URL(url);
        nowhere.searchParams.set('options', '-c search_path=nowhere');
        return Promise.resolve(nowhere.href);
      },
      /^the API ends: the database cannot be migrated \(no schema has been selected to create in\): no schema of its `search_path` is there: correct `search_path`, or make the schema$/m,
    ],
  ] as const)
    it(`ends with what to do, and no stack trace, where it ${why}`, async () => {
      const database = await makeEmptyDatabase();
      try {
        const { code, output } = await startApi(await spoil(database.url));
        assert.equal(code, 1, output);
        assert.match(output, said);
        assert.doesNotMatch(output, /\n +at /);
      } finally {
        await database.drop();
      }
    });

  it('goes on where its login may not change the schema, and `countersign migrate` has done it', async () => {
    const database = await makeMigratedDatabase();
    const user = newId('svc');
    const password = 'only-for-this-test';
    await asSuperuser(
      serverUrl(),
      `create role ${user} login password '${password}' in role countersign_app`,
    );
    try {
      const { code, output } = await startApi(
        serverUrl({ user, password, database: new URL(database.url).pathname.slice(1) }),
      );
      assert.equal(code, null, output);
      assert.match(
        output,
        /^this login may not change the schema: `countersign migrate` must have done it$/m,
      );
      assert.doesNotMatch(output, /\n +at /);
    } finally {
      await database.drop();
      await asSuperuser(serverUrl(), `drop role ${user}`);
    }
  });

  it('ends where its login may not change the schema, and nobody has migrated it', async () => {
    const database = await makeEmptyDatabase();
    const user = newId('svc');
    const password = 'only-for-this-test';
    await asSuperuser(serverUrl(), `create role ${user} login password '${password}'`);
    try {
      const { code, output } = await startApi(
        serverUrl({ user, password, database: new URL(database.url).pathname.slice(1) }),
      );
      assert.equal(code, 1, output);
      assert.match(output, /the API ends: the database has not the tables of this version/);
    } finally {
      await database.drop();
      await asSuperuser(serverUrl(), `drop role ${user}`);
    }
  });
});
