import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../src/embedded/process/ports.js';
import { preparePostgres } from '../../src/embedded/postgres/postgres.js';
import { findTemporal } from '../../src/embedded/temporal/binary.js';
import { namespaceOf } from '../../src/model/names/temporal-names.js';
import { prepareTemporal } from '../../src/embedded/temporal/prepare.js';
import { prepareDevServer, type TemporalPorts } from '../../src/embedded/temporal/temporal.js';
import type { GuardedServer } from '../../src/embedded/process/guarded-server.js';
import { newId } from '../../src/model/names/ids.js';

/** A server that a test may kill and start again. */
export interface ServerHandle {
  readonly pid: number;
  /** Resolves once it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it on the same port and data, after a kill. */
  restart(): Promise<void>;
}

export interface Servers {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  readonly temporalHttp: string;
  readonly temporalCli: string;
  /** Null where they are shared with other test files. */
  readonly postgres: ServerHandle | null;
  readonly temporal: ServerHandle | null;
  stop(): Promise<void>;
}

const never = new AbortController().signal;
const quiet = (): void => undefined;

/** Makes an empty folder, through which a server can pass that another user runs. */
export function temporaryFolder(name: string): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `countersign-${name}-`)));
  chmodSync(folder, 0o711);
  return folder;
}

export function testVariable(name: string): string {
  const value = process.env[name];
  if (value !== undefined) return value;
  throw new Error(`${name} is not set: run this test by \`npm test -- <its path>\``);
}

interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Makes an empty database on the server that `npm test` has started and that all tests share. */
export function makeEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase('template1');
}

/** Makes a copy of the database that `npm test` has migrated, with a store identity of its own. */
export async function makeMigratedDatabase(): Promise<TestDatabase> {
  const database = await createDatabase(testVariable('TEST_DATABASE_TEMPLATE'));
  await asAdmin(database.url, 'update store_identity set id = gen_random_uuid()');
  return database;
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const admin = testVariable('TEST_DATABASE_ADMIN_URL');
  const name = newId('svc').replace('svc_', 'test_');
  // Copies the files of the template: by default Postgres would copy its pages one by one.
  await asAdmin(admin, `create database ${name} template ${template} strategy file_copy`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => asAdmin(admin, `drop database if exists ${name} with (force)`) };
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

export async function sharedServers(): Promise<Servers> {
  const database = await makeMigratedDatabase();
  return {
    databaseUrl: database.url,
    temporalAddress: testVariable('TEST_TEMPORAL_ADDRESS'),
    temporalHttp: testVariable('TEST_TEMPORAL_HTTP'),
    temporalCli: testVariable('TEST_TEMPORAL_CLI'),
    postgres: null,
    temporal: null,
    stop: () => database.drop(),
  };
}

/** Starts a Postgres and a Temporal for one test, which may kill them. `fsync`: Postgres syncs to disk, as the product's does. */
export async function ownServers(
  environments: readonly string[],
  dynamicConfig: readonly string[] = [],
  fsync = false,
): Promise<Servers> {
  const home = temporaryFolder('own');
  const postgres = await preparePostgres({ home, choosePort: freePort, say: quiet, disposable: !fsync });
  const database = await makeHandle(() => postgres.launch(never));
  await postgres.createDatabase('countersign');
  const binary = await findTemporal({ say: quiet, signal: never });
  if (binary.status === 'missing') throw new Error(binary.message);
  const choosePorts = async (): Promise<TemporalPorts> => ({
    grpc: await freePort(),
    http: await freePort(),
    metrics: await freePort(),
  });
  const namespaces = environments.map(namespaceOf);
  const server = await prepareDevServer({
    binary: binary.path,
    home,
    choosePorts,
    namespaces,
    say: quiet,
    dynamicConfig,
  });
  const temporal = await makeHandle(() => server.launch(never));
  await prepareTemporal({ connection: { address: server.address }, namespaces, signal: never, say: quiet });
  return {
    databaseUrl: postgres.url('countersign'),
    temporalAddress: server.address,
    temporalHttp: `http://127.0.0.1:${server.ports.http}`,
    temporalCli: binary.path,
    postgres: database.handle,
    temporal: temporal.handle,
    async stop() {
      await Promise.all([database.stop(), temporal.stop()]);
      await postgres.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function makeHandle(
  launch: () => Promise<GuardedServer>,
): Promise<{ handle: ServerHandle; stop(): Promise<void> }> {
  let current = await launch();
  const handle: ServerHandle = {
    get pid() {
      return current.pid;
    },
    async kill(signal = 'SIGKILL') {
      process.kill(current.pid, signal);
      await current.exited;
    },
    async restart() {
      current = await launch();
    },
  };
  return { handle, stop: () => current.stop() };
}
