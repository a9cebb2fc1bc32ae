import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/process/ports.js';
import { namespaceOf } from '../../src/model/names/temporal-names.js';
import { prepareTemporal } from '../../src/embedded/temporal/prepare.js';
import { newId } from '../../src/model/names/ids.js';
import { loadFolder } from '../../src/policy/index.js';
import { preloads } from '../../src/processes/child.js';
import { projectRoot } from '../paths.js';
import { until } from '../until.js';
import { ownServers, sharedServers, temporaryFolder, type ServerHandle, type Servers } from './servers.js';
import { writeFiles } from '../files.js';

export interface StackOptions {
  /** A folder, or its files as `{path: text}`. The shipped policies by default. */
  readonly policies?: string | Readonly<Record<string, string>>;
  /** Added to the environment of API and worker. */
  readonly env?: Readonly<Record<string, string>>;
  /** More principals, by id, beside those of the development keys. The admin makes a key for each, and `fetchAs` takes them too. */
  readonly principals?: Readonly<Record<string, object>>;
  /** Whether the worker is started with the stack. True by default. */
  readonly startWorker?: boolean;
  /** A Postgres and a Temporal that only this stack uses, so that the test may kill them. */
  readonly own?: boolean;
  /** With `own`: more settings of that Temporal server, as `key=value`. */
  readonly dynamicConfig?: readonly string[];
  /** With `own`: whether that Postgres syncs to the disk, as the product's does. Off by default. */
  readonly fsync?: boolean;
}

interface ProcessHandle {
  readonly pid: number;
  readonly running: boolean;
  /** How it ended; null: a signal ended it, or it runs still. */
  readonly exitCode: number | null;
  /** Resolves once it is gone. SIGKILL by default. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it (again), from the build of that project folder; resolves when `/readyz` says that it answers. */
  restart(root?: string): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed JSON, or the text if the answer is not JSON. Tests read it as they expect it. */
  readonly body: any;
}

export interface Stack {
  readonly url: string;
  /** The development keys and those of its `principals`, by name. */
  readonly keys: Readonly<Record<string, string>>;
  readonly home: string;
  readonly policies: string;
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  readonly temporalHttp: string;
  readonly temporalCli: string;
  readonly taskQueue: string;
  /** The environment variables by which a process of the product works on this stack. */
  readonly settings: Readonly<Record<string, string>>;
  readonly api: ProcessHandle;
  readonly worker: ProcessHandle;
  /** Null unless `own`. */
  readonly postgres: ServerHandle | null;
  readonly temporal: ServerHandle | null;
  /** Sends a request with the key of that name. A body that is text is sent as it is, any other as JSON. */
  fetchAs(
    name: string | null,
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** The ends of the logs of API and worker, for a failing test. */
  logs(): string;
  stop(): Promise<void>;
}

/** Starts real API and worker processes on a real Postgres and a real Temporal. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const home = temporaryFolder('home');
  const policies = policyFolder(options.policies, home);
  const environments = await environmentsOf(policies);
  const servers =
    options.own === true
      ? await ownServers(environments, options.dynamicConfig, options.fsync)
      : await sharedServers();
  try {
    return await startProcesses({ options, home, policies, environments, servers });
  } catch (error) {
    await servers.stop();
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

interface StackParts {
  readonly options: StackOptions;
  readonly home: string;
  readonly policies: string;
  readonly environments: readonly string[];
  readonly servers: Servers;
}

async function startProcesses({
  options,
  home,
  policies,
  environments,
  servers,
}: StackParts): Promise<Stack> {
  await prepareTemporal({
    connection: { address: servers.temporalAddress },
    namespaces: environments.map(namespaceOf),
    signal: AbortSignal.timeout(180_000),
    say: () => undefined,
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const taskQueue = newId('svc').replace('svc_', 'queue-');
  const settings = {
    DATABASE_URL: servers.databaseUrl,
    TEMPORAL_ADDRESS: servers.temporalAddress,
    COUNTERSIGN_HOME: home,
    COUNTERSIGN_POLICIES: policies,
    COUNTERSIGN_TASK_QUEUE: taskQueue,
  };
  const env = {
    ...process.env,
    ...settings,
    COUNTERSIGN_DEV_KEYS: '1',
    PORT: String(port),
    ...options.env,
  };
  const api = makeProcess('api', home, env, () => readReadiness(url, 'api'));
  const worker = makeProcess('worker', home, env, () => readReadiness(url, 'worker'));
  const stop = async (): Promise<void> => {
    await Promise.all([api.end(), worker.end()]);
    await servers.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const logs = (): string =>
    ['api', 'worker'].map((name) => `--- ${name}\n${readLog(home, name)}`).join('\n');
  const keys: Record<string, string> = {};
  const fetchAs = makeFetcher(url, keys);
  try {
    await Promise.all([api.restart(), options.startWorker === false ? null : worker.restart()]);
    Object.assign(keys, JSON.parse(readFileSync(join(home, 'dev-keys.json'), 'utf8')));
    for (const [id, fields] of Object.entries(options.principals ?? {}))
      keys[id] = await makeKey(fetchAs, { id, ...fields });
  } catch (error) {
    const written = logs();
    await Promise.all([api.end(), worker.end()]);
    throw new Error(`the stack did not come up: ${String(error)}\n${written}`);
  }
  const { databaseUrl, temporalAddress, temporalHttp, temporalCli, postgres, temporal } = servers;
  const places = {
    url,
    keys,
    home,
    policies,
    databaseUrl,
    temporalAddress,
    temporalHttp,
    temporalCli,
    taskQueue,
    settings,
  };
  return { ...places, api, worker, postgres, temporal, fetchAs, logs, stop };
}

/** The default for policies that a test gives as files: each environment costs a worker a thread. */
const oneEnvironment = { 'environments.yaml': 'environments: { dev: {} }\n' };

function policyFolder(policies: StackOptions['policies'], home: string): string {
  if (policies === undefined) return join(projectRoot, 'policies');
  if (typeof policies === 'string') return policies;
  const folder = join(home, 'policies');
  writeFiles(folder, { ...oneEnvironment, ...policies });
  return folder;
}

async function environmentsOf(policies: string): Promise<readonly string[]> {
  const result = await loadFolder(policies);
  if (result.status === 'loaded') return result.policySet.environments.map(({ name }) => name);
  throw new Error(`the policies in \`${policies}\` have errors: ${JSON.stringify(result.errors, null, 2)}`);
}

function readLog(home: string, name: string): string {
  try {
    return readFileSync(join(home, `${name}.log`), 'utf8').slice(-6_000);
  } catch {
    return '';
  }
}

const bootMs = 180_000;

/** Counts in its log how often a process was ready. `/readyz` still counts a worker that died some seconds ago. */
function countBoots(name: 'api' | 'worker', home: string): number {
  const line = { api: /^listening on /gm, worker: /^working on /gm }[name];
  try {
    return readFileSync(join(home, `${name}.log`), 'utf8').match(line)?.length ?? 0;
  } catch {
    return 0;
  }
}

function makeProcess(
  name: 'api' | 'worker',
  home: string,
  env: NodeJS.ProcessEnv,
  ready: () => Promise<true | null>,
): ProcessHandle & { end(): Promise<void> } {
  let child: ChildProcess | null = null;
  const isUp = (): boolean => child !== null && child.exitCode === null && child.signalCode === null;
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || !isUp()) return;
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    await gone;
  };
  return {
    get pid() {
      if (child?.pid === undefined) throw new Error(`the ${name} was not started`);
      return child.pid;
    },
    get running() {
      return isUp();
    },
    get exitCode() {
      return child?.exitCode ?? null;
    },
    kill: (signal = 'SIGKILL') => kill(signal),
    async restart(root = projectRoot) {
      await kill('SIGTERM');
      const before = countBoots(name, home);
      child = spawnWithPreloads(name, home, env, root);
      await until(
        `${name} ready`,
        () => {
          if (!isUp()) throw new Error(`the ${name} ended with ${child?.signalCode ?? child?.exitCode}`);
          return countBoots(name, home) > before ? ready() : null;
        },
        bootMs,
      );
    },
    async end() {
      const timer = setTimeout(() => void kill('SIGKILL'), 12_000);
      await kill('SIGTERM');
      clearTimeout(timer);
    },
  };
}

/** Tied to the test process by its stdin: it ends when that process ends, for whatever reason. */
function spawnWithPreloads(name: string, home: string, env: NodeJS.ProcessEnv, root: string): ChildProcess {
  const dist = join(root, 'dist', 'processes');
  const log = openSync(join(home, `${name}.log`), 'a');
  const imports = preloads.flatMap((file) => ['--import', join(dist, file)]);
  // Source maps are left out: they take a fifth of the start of a process.
  const args = [...imports, join(dist, `${name}.js`)];
  const child = spawn(process.execPath, args, { cwd: projectRoot, env, stdio: ['pipe', log, log] });
  closeSync(log);
  child.stdin?.on('error', () => undefined);
  return child;
}

async function readReadiness(url: string, of: 'api' | 'worker'): Promise<true | null> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(3_000) });
    const body = (await response.json()) as { worker?: boolean };
    return response.status === 200 && (of === 'api' || body.worker === true) ? true : null;
  } catch {
    return null;
  }
}

function makeFetcher(url: string, keys: Readonly<Record<string, string>>): Stack['fetchAs'] {
  return async (name, method, path, body, headers = {}) => {
    if (name !== null && keys[name] === undefined) throw new Error(`there is no key \`${name}\``);
    const response = await fetch(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(name === null ? {} : { authorization: `Bearer ${keys[name]}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
}

async function makeKey(fetchAs: Stack['fetchAs'], principal: object): Promise<string> {
  const { status, body } = await fetchAs('admin', 'POST', '/v1/keys', principal);
  if (status !== 201) throw new Error(`no key was made: ${JSON.stringify(body)}`);
  return (body as { key: string }).key;
}
