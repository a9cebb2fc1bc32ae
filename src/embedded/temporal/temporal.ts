import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startGuardedServer, type GuardedServer } from '../process/guarded-server.js';
import { searchAttributes } from '../../model/names/temporal-names.js';
import { waitUntilHealthy } from './prepare.js';
import { temporalVersion } from './binary.js';
import {
  endsWithin,
  isAlive,
  rotateLog,
  signalIfAlive,
  tailOf,
  writeAtomically,
  type Say,
} from '../process/system.js';

export interface TemporalPorts {
  readonly grpc: number;
  readonly http: number;
  readonly metrics: number;
}

export interface TemporalOptions {
  readonly binary: string;
  /** The folder of the database file, of the note of its version, and of the log. */
  readonly home: string;
  /** Called once leftovers of a killed predecessor have ended, so that their ports are free again. */
  readonly choosePorts: () => Promise<TemporalPorts>;
  /** The server itself makes them on its first start, so that they are usable at once. */
  readonly namespaces: readonly string[];
  readonly say: Say;
  /** Further settings of the server, as `key=value`. */
  readonly dynamicConfig?: readonly string[];
}

export interface Temporal {
  readonly address: string;
  readonly ports: TemporalPorts;
  /** Starts the dev server and resolves when it serves. Also starts it again after a crash. */
  launch(signal: AbortSignal): Promise<GuardedServer>;
}

const bootMs = 60_000;
const bootAttempts = 5;

/** Prepares the database file and the ports. Starts nothing yet. */
export async function prepareDevServer(options: TemporalOptions): Promise<Temporal> {
  const database = join(options.home, 'temporal', 'temporal.db');
  mkdirSync(join(options.home, 'temporal'), { recursive: true, mode: 0o700 });
  mkdirSync(join(options.home, 'logs'), { recursive: true, mode: 0o700 });
  await keepCopyBeforeUpgrade(database, options);
  await endLeftover(database);
  const ports = await options.choosePorts();
  return {
    address: `127.0.0.1:${ports.grpc}`,
    ports,
    launch: (signal) =>
      launch({ options, ports, database, log: join(options.home, 'logs', 'temporal.log') }, signal),
  };
}

/** Copies the database file before another version of the server runs, which may change its schema. */
async function keepCopyBeforeUpgrade(database: string, { binary, say }: TemporalOptions): Promise<void> {
  const note = `${database}.version`;
  const version = await temporalVersion(binary);
  const last = existsSync(note) ? readFileSync(note, 'utf8').trim() : null;
  if (last === version) return;
  if (last !== null && existsSync(database)) {
    const suffix = `before-${new Date().toISOString().replaceAll(':', '')}`;
    say(`another temporal CLI than last time: keeping a copy of its database, \`${database}.${suffix}\``);
    for (const ending of ['', '-wal', '-shm']) {
      if (existsSync(database + ending)) copyFileSync(database + ending, `${database}.${suffix}${ending}`);
    }
  }
  writeAtomically(note, `${version}\n`);
}

interface Server {
  readonly options: TemporalOptions;
  readonly ports: TemporalPorts;
  readonly database: string;
  readonly log: string;
}

async function launch(server: Server, signal: AbortSignal): Promise<GuardedServer> {
  const { options, ports, database, log } = server;
  await endLeftover(database);
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const running = await startServer(server);
    const ended = new AbortController();
    void running.exited.then(() => ended.abort());
    const giveUp = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(bootMs)]);
    if (await waitUntilHealthy(`127.0.0.1:${ports.grpc}`, giveUp)) return running;
    await running.stop();
    signal.throwIfAborted();
    // On a busy machine, the server's very first writes may collide (`database is locked`). The next start succeeds.
    if (attempt === bootAttempts) throw new Error(`temporal did not start:\n${tailOf(log)}`);
    options.say('temporal did not come up, starting it again');
    await delay(200 * attempt);
  }
}

function startServer({ options, ports, database, log }: Server): Promise<GuardedServer> {
  rotateLog(log);
  const { namespaces } = options;
  return startGuardedServer({
    name: 'temporal',
    command: options.binary,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--headless', '--log-level', 'error'],
      ...[
        '--port',
        String(ports.grpc),
        '--http-port',
        String(ports.http),
        '--metrics-port',
        String(ports.metrics),
      ],
      ...['--db-filename', database],
      ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=full'],
      // A single partition removes the slowest waits, and polling the transfer queue often removes 50 ms a hop (docs/performance.md).
      ...['--dynamic-config-value', 'matching.numTaskqueueReadPartitions=1'],
      ...['--dynamic-config-value', 'matching.numTaskqueueWritePartitions=1'],
      ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=1000'],
      // A worker that asks for an effect gets it with the answer to its task, without a poll and a hop (docs/performance.md).
      ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
      ...(options.dynamicConfig ?? []).flatMap((setting) => ['--dynamic-config-value', setting]),
      ...namespaces.flatMap((name) => ['--namespace', name]),
      ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ],
    // No TEMPORAL_* variable of the user's shell reaches our server.
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: homedir() },
    cwd: join(options.home, 'temporal'),
    user: null,
    log,
    stopSignal: 'SIGTERM',
    graceMs: 6_000,
    group: false,
  });
}

/** Ends a server that still uses this file: we hold the data folder's lock, so it is an orphan. */
async function endLeftover(database: string): Promise<void> {
  if (process.platform !== 'linux') return;
  for (const pid of readdirSync('/proc').map(Number)) {
    if (!Number.isInteger(pid) || !commandOf(pid).includes(database)) continue;
    signalIfAlive(pid, 'SIGTERM');
    if (!(await endsWithin(pid, 6_000)) && isAlive(pid)) signalIfAlive(pid, 'SIGKILL');
    await endsWithin(pid, 2_000);
  }
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
