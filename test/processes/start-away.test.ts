// Mostly waits: for servers that do not answer.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { newId } from '../../src/model/names/ids.js';
import { placeOf, readConfig } from '../../src/processes/settings/config.js';
import {
  findDatabaseProblem,
  lastReason,
  retryUntilStoreAnswers,
  whyEnded,
} from '../../src/processes/settings/database.js';
import { makePool } from '../../src/db/index.js';
import { preparePostgres } from '../../src/embedded/postgres/postgres.js';
import { freePort } from '../../src/embedded/process/ports.js';
import { projectRoot } from '../../testing/paths.js';
import { inCampaigns } from '../../testing/samples.js';
import { asSuperuser, serverUrl, withDatabase } from '../../testing/servers/database.js';
import { startPooler } from '../../testing/servers/pooler.js';
import { startProduct, type Product } from '../../testing/servers/product.js';
import { makeEmptyDatabase, temporaryFolder, testVariable } from '../../testing/servers/servers.js';

// `npm start` with servers that it is given: it says which ones they are, and what it waits for.

async function withProduct(env: Record<string, string>, look: (product: Product) => Promise<void>) {
  const home = temporaryFolder('away');
  const product = await startProduct({ home, env, args: ['--no-demo'] });
  try {
    await look(product);
  } finally {
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

const nobody = '127.0.0.1:9';

describe('npm start with a server that does not answer', { concurrency: true }, () => {
  it('waits for Postgres and says so, with the logs to look at', inCampaigns, async () => {
    const env = {
      DATABASE_URL: `postgres://${nobody}/x`,
      TEMPORAL_ADDRESS: testVariable('TEST_TEMPORAL_ADDRESS'),
    };
    await withProduct(env, async (product) => {
      await product.line(
        /^the Postgres of .+ does not answer \(.+\): start it, or correct or unset DATABASE_URL$/m,
      );
      await product.line(/^the API waits for Postgres, which does not answer \(connect ECONNREFUSED .+\)$/m);
      const [said] = await product.line(/^waiting for the API and a worker: .+$/m);
      for (const name of ['api', 'worker'])
        assert.ok(said.includes(join(product.home, 'logs', `${name}.log`)), said);
    });
  });

  it('says which servers it uses, no password, and ends where Temporal does not answer, with what to do', async () => {
    const env = { DATABASE_URL: `postgres://me:secret@${nobody}/shop`, TEMPORAL_ADDRESS: nobody };
    await withProduct(env, async (product) => {
      assert.deepEqual(await product.exited, { code: 1, signal: null });
      const output = product.output();
      assert.match(output, /^using the Postgres of DATABASE_URL \(`127\.0\.0\.1:9\/shop`\)$/m);
      assert.doesNotMatch(output, /secret/);
      assert.match(output, /^using the Temporal of TEMPORAL_ADDRESS \(`127\.0\.0\.1:9`\)$/m);
      assert.match(
        output,
        /^Temporal at `127\.0\.0\.1:9` does not answer as it should \(.+\): start it, or correct or unset TEMPORAL_ADDRESS$/m,
      );
      assert.doesNotMatch(output, /\n +at /);
    });
  });
});

it('no part of a password is said, also of a URL in which it is written wrongly', () => {
  const urls = [
    'postgres://u:pa@ss/secret@h/db',
    'postgres://u:pa@ss?secret@h/db',
    'postgres://u:12/secret@h/db',
    'postgres://u:12#secret@h/db',
    'postgres://u:12?secret@h/db',
  ];
  assert.deepEqual(
    urls.map(placeOf),
    urls.map(() => null),
  );
  assert.equal(placeOf('postgres://u:secret@h:5/db?options=a'), ' (`h:5/db`)');
  assert.equal(placeOf('postgres://'), '');
});

/** The Postgres of `npm test`, with something in its URL changed. */
function changed(change: (url: URL) => void): string {
  const url = new URL(testVariable('TEST_DATABASE_ADMIN_URL'));
  change(url);
  return url.href;
}
const wrongPassword = () => changed((url) => (url.password = 'secret'));

it('of a process that ends at each start, the last reason is told alone', async () => {
  const config = readConfig({});
  assert.ok(config.status === 'read');
  const why = async (who: string, said: string): Promise<string> =>
    `waits\n${await whyEnded(who, new Error(said), config.config)}\n`;
  for (const who of ['API', 'worker'])
    assert.equal(
      lastReason((await why(who, 'it cannot:\nmend it')).repeat(3).trimEnd()),
      `the ${who} ends: it cannot:\nmend it`,
    );
  assert.equal(lastReason('this one\nsays no reason'), 'this one\nsays no reason');
});

describe('a DATABASE_URL that Postgres does not take', () => {
  const remedy = 'correct DATABASE_URL';

  it('is told with the reason and what to do, and waiting for it is left', async () => {
    const refused: [string, string][] = [
      [wrongPassword(), 'password authentication failed for user "countersign"'],
      [changed((url) => (url.pathname = '/shop')), 'database "shop" does not exist'],
      [
        changed((url) => url.searchParams.set('sslmode', 'verify-full')),
        'The server does not support SSL connections',
      ],
    ];
    for (const [url, reason] of refused) {
      const place = placeOf(url) ?? '';
      assert.deepEqual(await findDatabaseProblem(url, remedy), {
        isAway: false,
        message: `the Postgres of DATABASE_URL${place} takes no connection (${reason}): ${remedy}`,
      });
    }
    assert.equal(await findDatabaseProblem(testVariable('TEST_DATABASE_ADMIN_URL'), remedy), null);
  });

  it('is waited for where nobody answers, and no part of a password is said', async () => {
    const found = await findDatabaseProblem(`postgres://me:secret@${nobody}/shop`, remedy);
    assert.deepEqual(found, {
      isAway: true,
      message: `the Postgres of DATABASE_URL (\`${nobody}/shop\`) does not answer (connect ECONNREFUSED ${nobody}): start it, or ${remedy}`,
    });
    const admin = new URL(testVariable('TEST_DATABASE_ADMIN_URL'));
    const badlyWritten = [
      `postgres://${admin.username}:x@${admin.host}/secret@h/db`,
      'postgres://u:pa@secret/x@h/db',
      'postgres://u:secret/x@h/db',
      'postgres://u:x@h:295555/db',
    ];
    for (const url of badlyWritten) {
      const problem = await findDatabaseProblem(url, remedy);
      assert.equal(problem?.isAway, false);
      assert.match(problem.message, /^DATABASE_URL cannot be read: it has one host, its port is/);
      assert.doesNotMatch(problem.message, /secret/);
    }
    for (const name of ['sslkey', 'sslcert', 'sslrootcert']) {
      const problem = await findDatabaseProblem(`postgres://u:x@${nobody}/db?${name}=MIIEsecret`, remedy);
      assert.equal(
        problem?.message,
        `the Postgres of DATABASE_URL (\`${nobody}/db\`) takes no connection (a file that its \`sslkey\`, \`sslcert\` or \`sslrootcert\` names cannot be read: ENOENT): ${remedy}`,
      );
    }
    const socket = await findDatabaseProblem('postgres://u:secret@/db?host=/nowhere', remedy);
    assert.match(
      socket?.message ?? '',
      /^the Postgres of DATABASE_URL \(`\/nowhere\/db`\) does not answer \(connect ENOENT \/nowhere\/\.s\.PGSQL\.5432\): start it, or correct DATABASE_URL$/,
    );
  });

  it('is waited for where Postgres answers that it takes no connection now, and is not said to be down', async () => {
    const user = newId('svc');
    const password = 'only-for-this-test';
    await asSuperuser(serverUrl(), `create role ${user} login password '${password}' connection limit 0`);
    try {
      const url = serverUrl({ user, password });
      assert.deepEqual(await findDatabaseProblem(url, remedy), {
        isAway: true,
        message: `the Postgres of DATABASE_URL${placeOf(url)} takes no connection now (too many connections for role "${user}"): wait, or ${remedy}`,
      });
    } finally {
      await asSuperuser(serverUrl(), `drop role ${user}`);
    }
  });

  it('is told with what a pooler in front of Postgres refuses, and waiting for it is left', async () => {
    const pooler = await startPooler(serverUrl());
    const url = `${pooler.url}?statement_timeout=5000`;
    assert.deepEqual(await findDatabaseProblem(url, remedy), {
      isAway: false,
      message: `the Postgres of DATABASE_URL${placeOf(url)} takes no connection (unsupported startup parameter: statement_timeout): ${remedy}`,
    });
    assert.equal(await findDatabaseProblem(pooler.url, remedy), null);
    pooler.close();
  });

  it('is waited for where Postgres is read-only, and what Postgres says is said, each reason once', async () => {
    await withDatabase(async (database) => {
      const name = new URL(database.url).pathname.slice(1);
      const readOnly = `alter database ${name} set default_transaction_read_only =`;
      await database.asSuperuser(`${readOnly} on`);
      assert.deepEqual(await findDatabaseProblem(database.url, remedy), {
        isAway: true,
        message: `the Postgres of DATABASE_URL${placeOf(database.url)} takes no writes now (it is read-only, as a standby is): wait, or ${remedy}`,
      });
      const said: string[] = [];
      const statements = ['create table a ()', 'create table b ()', `select pg_sleep(1)`, 'select 1'];
      const write = async (): Promise<void> => {
        const pool = makePool({ url: database.url, applicationName: 'test', max: 1 });
        const statement = statements.shift() ?? '';
        await pool.query(`set statement_timeout = 100; ${statement}`).finally(() => pool.end());
      };
      await retryUntilStoreAnswers('API', (line) => said.push(line), write);
      assert.deepEqual(said, [
        'the API waits for Postgres, which takes no writes now (cannot execute CREATE TABLE in a read-only transaction)',
        'the API waits for Postgres, which answers with an error (canceling statement due to statement timeout)',
      ]);
    });
  });

  it('is what the end of a log says of the process that ended for it', async () => {
    const read = readConfig({ DATABASE_URL: wrongPassword() });
    assert.ok(read.status === 'read');
    const why = await whyEnded('worker', new Error('any'), read.config);
    assert.match(
      why,
      /^the worker ends: the Postgres of .+ \(password authentication failed .+\): correct DATABASE_URL$/,
    );
    const fields = Object.assign(new Error('another'), { routine: 'x' });
    const other = await whyEnded('worker', fields, { ...read.config, databaseUrl: null });
    assert.match(other, /routine: 'x'\n\}\nthe worker ends: another$/);
  });

  it('ends npm start at once, with what to do', async () => {
    const env = { DATABASE_URL: wrongPassword(), TEMPORAL_ADDRESS: testVariable('TEST_TEMPORAL_ADDRESS') };
    await withProduct(env, async (product) => {
      assert.deepEqual(await product.exited, { code: 1, signal: null });
      assert.match(product.output(), /^the Postgres of .+ \(password .+\): correct or unset DATABASE_URL$/m);
      assert.doesNotMatch(product.output(), /\n +at |starting the API/);
    });
  });
});

it('an own Postgres that takes no connection is told with the reason', inCampaigns, async () => {
  const home = temporaryFolder('own');
  const options = { home, choosePort: freePort, say: () => undefined, disposable: true };
  await (await preparePostgres(options)).close();
  const file = join(home, 'postgres.json');
  const record = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...record, password: 'another' }));
  const postgres = await preparePostgres(options);
  await assert.rejects(
    postgres.launch(new AbortController().signal),
    /postgres did not start \(password authentication failed for user "countersign"\):\n/,
  );
  await postgres.close();
  rmSync(home, { recursive: true, force: true });
});

describe('countersign migrate with a server that it cannot use', inCampaigns, () => {
  it('ends with what to do', async () => {
    const database = await makeEmptyDatabase();
    const cases: [string, RegExp][] = [
      [
        database.url,
        /^Temporal at `127\.0\.0\.1:9` does not answer as it should \(.+\): start it, or correct TEMPORAL_ADDRESS, and run this again$/m,
      ],
      [wrongPassword(), /^the Postgres of .+ \(password .+\): correct DATABASE_URL, and run this again$/m],
      [
        `postgres://${nobody}/x`,
        /^the Postgres of .+ does not answer \(.+\): start it, or correct DATABASE_URL, and run this again$/m,
      ],
    ];
    try {
      for (const [url, said] of cases) {
        const [code, output] = await migrate(url);
        assert.equal(code, 1, output);
        assert.match(output, said);
        assert.doesNotMatch(output, /\n +at /);
      }
    } finally {
      await database.drop();
    }
  });
});

/** Its exit code and what it says, with a Temporal that does not answer. */
async function migrate(url: string): Promise<[unknown, string]> {
  const home = temporaryFolder('away');
  const env = { ...process.env, DATABASE_URL: url, TEMPORAL_ADDRESS: nobody, COUNTERSIGN_HOME: home };
  const args = [join(projectRoot, 'bin', 'countersign.mjs'), 'migrate'];
  const ended = await new Promise<[unknown, string]>((resolve) => {
    execFile(process.execPath, args, { cwd: projectRoot, env }, (error, stdout, stderr) =>
      resolve([error?.code, stdout + stderr]),
    );
  });
  rmSync(home, { recursive: true, force: true });
  return ended;
}
