import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startGuardedServer, type GuardedServer } from '../process/guarded-server.js';
import { preparePostgresBinaries, findPostgresUser, type PostgresUser } from './binaries.js';
import { ensureData, openRecord, postgresEnv, superuser } from './data.js';
import { tryLock, type Lock } from '../process/lock.js';
import {
  endsWithin,
  errorCode,
  isAlive,
  linkOf,
  rotateLog,
  signalIfAlive,
  tailOf,
  type Say,
} from '../process/system.js';

export interface PostgresOptions {
  /** The folder of the record, the log and, where Postgres's user can enter it, the data. */
  readonly home: string;
  /** Called once leftovers of a killed predecessor have ended, so that their port is free again. */
  readonly choosePort: () => Promise<number>;
  readonly say: Say;
  /** The data is thrown away (tests): fsync is off. The product never sets it. */
  readonly disposable?: boolean;
}

export interface Postgres {
  /** The URL of a database on this server. */
  url(database: string): string;
  readonly port: number;
  /** Starts the server and resolves when it takes connections. Also starts it again after a crash. */
  launch(signal: AbortSignal): Promise<GuardedServer>;
  createDatabase(name: string): Promise<void>;
  /** Releases the data folder. Called once the server has ended. */
  close(): Promise<void>;
}

interface PreparedPostgres {
  readonly disposable: boolean;
  readonly port: number;
  readonly bin: string;
  readonly dataDir: string;
  readonly password: string;
  readonly user: PostgresUser | null;
  readonly log: string;
}

/**
 * No PG* variable of the user's shell reaches a connection to our server: PGSSLMODE, PGSSLNEGOTIATION and PGOPTIONS do not, because
 * the URL says otherwise. (Options that are empty would count as not given.)
 */
const ownSettings = 'sslmode=disable&sslnegotiation=postgres&options=%20';

/** Makes binaries, data folder and password where they are missing. Starts nothing yet. */
export async function preparePostgres(options: PostgresOptions): Promise<Postgres> {
  const { home, say, disposable = false } = options;
  mkdirSync(join(home, 'logs'), { recursive: true, mode: 0o700 });
  const user = await findPostgresUser();
  const bin = await preparePostgresBinaries(user, say);
  const record = openRecord(home, user);
  const lock = await lockData(record.dataDir);
  await ensureData({ bin, user, record, say, disposable });
  const log = join(home, 'logs', 'postgres.log');
  await endLeftovers(record.dataDir);
  const port = await options.choosePort();
  const installed = { disposable, port, bin, dataDir: record.dataDir, password: record.password, user, log };
  const url = (database: string): string =>
    `postgres://${superuser}:${record.password}@127.0.0.1:${port}/${encodeURIComponent(database)}?${ownSettings}`;
  return {
    url,
    port,
    launch: (signal) => launch(installed, url('postgres'), signal),
    createDatabase: (name) => createDatabase(url('postgres'), name),
    close: () => lock.release(),
  };
}

/** Locks the data itself: it may be outside of its home, so that the home's lock does not protect it from a copy of that home. */
async function lockData(dataDir: string): Promise<Lock> {
  const result = await tryLock(`postgres:${dataDir}`);
  if (result.status === 'held') return result.lock;
  throw new Error(`database folder \`${dataDir}\` is in use by process ${result.pid ?? 'unknown'}`);
}

const bootMs = 60_000;

async function launch(
  installed: PreparedPostgres,
  adminUrl: string,
  signal: AbortSignal,
): Promise<GuardedServer> {
  const deadline = Date.now() + bootMs;
  for (;;) {
    await endLeftovers(installed.dataDir);
    signal.throwIfAborted();
    const server = await startServer(installed);
    const ended = new AbortController();
    void server.exited.then(() => ended.abort());
    const giveUp = AbortSignal.any([signal, ended.signal]);
    const problem = await whyNoConnection(adminUrl, giveUp, deadline);
    if (problem === null) return server;
    await server.stop();
    signal.throwIfAborted();
    // Backends of a killed server keep its shared memory until they notice; then the next start succeeds.
    if (Date.now() >= deadline)
      throw new Error(`postgres did not start (${problem}):\n${tailOf(installed.log)}`);
    await delay(300);
  }
}

function startServer({
  disposable,
  port,
  bin,
  dataDir,
  user,
  log,
}: PreparedPostgres): Promise<GuardedServer> {
  rotateLog(log);
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    log_timezone: 'UTC',
    timezone: 'UTC',
    ...(disposable ? { fsync: 'off', full_page_writes: 'off' } : {}),
  };
  return startGuardedServer({
    name: 'postgres',
    command: join(bin, 'postgres'),
    args: [
      '-D',
      dataDir,
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: postgresEnv(),
    cwd: '/',
    user,
    log,
    // SIGINT is postgres's fast shutdown: it ends the sessions, writes a checkpoint and leaves.
    stopSignal: 'SIGINT',
    graceMs: 6_000,
    group: false,
  });
}

/** Null: it takes connections. Otherwise why it took none until `giveUp` or `deadline`. */
async function whyNoConnection(url: string, giveUp: AbortSignal, deadline: number): Promise<string | null> {
  let why = 'it ended at once';
  while (!giveUp.aborted && Date.now() < deadline) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select 1');
      return null;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
      await delay(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return why;
}

/** Ends servers on this data: we hold its lock, so they are orphans of a supervisor and a guard that were killed. */
async function endLeftovers(dataDir: string): Promise<void> {
  const file = join(dataDir, 'postmaster.pid');
  if (existsSync(file)) {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    if (Number.isInteger(pid) && isAlive(pid)) {
      if (worksOn(pid, dataDir)) {
        signalIfAlive(pid, 'SIGINT');
        if (!(await endsWithin(pid, 6_000))) signalIfAlive(pid, 'SIGKILL');
      } else {
        // The number is another process's by now, but postgres would refuse to start because of this file.
        rmSync(file, { force: true });
      }
    }
  }
  for (const pid of processesIn(dataDir)) {
    if (!(await endsWithin(pid, 1_000))) signalIfAlive(pid, 'SIGKILL');
  }
}

/** Does the process work on the data? Every process of a server has the data folder as working directory. Only Linux tells: true elsewhere. */
function worksOn(pid: number, dataDir: string): boolean {
  return process.platform !== 'linux' || linkOf(`/proc/${pid}/cwd`) === dataDir;
}

function processesIn(dataDir: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && linkOf(`/proc/${pid}/cwd`) === dataDir);
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(`create database ${client.escapeIdentifier(name)}`);
  } catch (error) {
    if (errorCode(error) !== '42P04') throw error; // duplicate_database
  } finally {
    await client.end();
  }
}
