import { mkdirSync, realpathSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { loadKeys, UnusableKey } from '../auth/index.js';
import { tryLock } from '../embedded/process/lock.js';
import { isPortFree, nextFreePort, openPortBook, type PortBook } from '../embedded/process/ports.js';
import type { Say } from '../embedded/process/system.js';
import { loadFolder } from '../policy/index.js';
import { answerInstead } from './arguments.js';
import { defaultPort, readConfig, type Config } from './settings/config.js';
import { dataFormatProblem, markDataFormat } from './ownership/data-format.js';
import { makeProcessGroup } from './children/process-group.js';
import { bringUpProduct, type RunningProduct } from './product.js';
import { BootFailure, bringUpDatabase, bringUpTemporal, type Boot } from './servers.js';

export interface UpOptions {
  readonly args: readonly string[];
  /** Aborted when the user wants the product to stop. */
  readonly signal: AbortSignal;
  /** Called once everything runs. */
  readonly onReady?: (product: RunningProduct) => void;
}

const say: Say = (line) => void process.stdout.write(`${line}\n`);
const complain: Say = (line) => void process.stderr.write(`${line}\n`);

export const exitCodes = { stopped: 0, failed: 1, inUse: 2 } as const;

/** Runs the whole product until it is told to stop; gives the exit code. */
export async function up({ args, signal, onReady }: UpOptions): Promise<number> {
  const instead = answerInstead('up', args);
  if (instead !== null) {
    (instead.code === 0 ? say : complain)(instead.text);
    return instead.code;
  }
  const read = readConfig();
  if (read.status === 'invalid') {
    read.errors.forEach(complain);
    return exitCodes.failed;
  }
  process.title = 'countersign up';
  const { config } = read;
  try {
    mkdirSync(config.home, { recursive: true });
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : textOfError(error);
    complain(
      `\`${config.home}\` cannot be the data folder (${why}): set COUNTERSIGN_HOME to a folder, or to a path where a folder can be made`,
    );
    return exitCodes.failed;
  }
  const home = realpathSync(config.home);
  const result = await tryLock(`home:${home}`);
  if (result.status === 'taken') {
    const other = `data folder \`${home}\` is in use by process ${result.pid ?? 'unknown'}`;
    complain(`${other}: stop that one (Ctrl-C), or start this one with another COUNTERSIGN_HOME`);
    return exitCodes.inUse;
  }
  try {
    const problem = dataFormatProblem(home);
    if (problem !== null) {
      complain(problem);
      return exitCodes.failed;
    }
    markDataFormat(home);
    return await runProcesses({ ...config, home }, { demo: !args.includes('--no-demo'), signal, onReady });
  } finally {
    await result.lock.release();
  }
}

interface RunOptions extends Pick<UpOptions, 'signal'> {
  readonly demo: boolean;
  readonly onReady: UpOptions['onReady'] | undefined;
}

async function runProcesses(config: Config, { demo, signal, onReady }: RunOptions): Promise<number> {
  const processGroup = makeProcessGroup(config.home, say);
  const closers: (() => Promise<void>)[] = [];
  try {
    const ports = openPortBook(join(config.home, 'ports.json'));
    const boot: Boot = { config, processGroup, ports, say, signal, atEnd: (close) => closers.push(close) };
    const product = await startEverything(boot, demo);
    onReady?.(product);
    await waitForAbort(signal);
    return exitCodes.stopped;
  } catch (error) {
    if (signal.aborted) return exitCodes.stopped;
    complain(error instanceof BootFailure ? error.message : textOfError(error));
    return exitCodes.failed;
  } finally {
    say('stopping');
    await processGroup.stop();
    for (const close of closers) await close();
    say('stopped');
  }
}

/** Starts everything. What is cheap and may fail comes first. */
async function startEverything(boot: Boot, demo: boolean): Promise<RunningProduct> {
  const { config, signal } = boot;
  const port = await choosePort(config, boot.ports);
  const environments = await checkPolicies(config.policies);
  await checkKeys(config);
  const failed = new AbortController();
  const both: Boot = { ...boot, signal: AbortSignal.any([signal, failed.signal]) };
  const abandon = (error: unknown): never => {
    failed.abort();
    throw error;
  };
  // Both are awaited to their end even when one fails, so that nothing starts after this has ended.
  const [database, temporal] = await Promise.allSettled([
    bringUpDatabase(both).catch(abandon),
    bringUpTemporal(both, environments).catch(abandon),
  ]);
  for (const outcome of [database, temporal]) {
    if (outcome.status === 'rejected' && !isAbort(outcome.reason)) throw outcome.reason;
  }
  if (database.status === 'rejected' || temporal.status === 'rejected')
    throw new BootFailure('stopped while starting');
  return bringUpProduct(boot, { port, databaseUrl: database.value, temporalAddress: temporal.value, demo });
}

/** The configured port, or a failure where it is taken; without a configured port that of last time, or the next free port from 8080. */
async function choosePort(config: Config, ports: PortBook): Promise<number> {
  if (config.port === 0) return nextFreePort(20_000, config.host);
  if (config.port !== null) {
    if (await isPortFree(config.port, config.host)) return config.port;
    throw new BootFailure(
      `port ${config.port} on ${config.host} is taken or cannot be used: stop what uses it, or set PORT to another port`,
    );
  }
  const kept = ports.known('api');
  const isKept = kept !== undefined && (await isPortFree(kept, config.host));
  const port = isKept ? kept : await nextFreePort(defaultPort, config.host);
  const wanted = isKept ? defaultPort : (kept ?? defaultPort);
  if (port !== wanted && !(await isPortFree(wanted, config.host)))
    say(
      `port ${wanted} on ${config.host} is taken: the API listens on ${port}; set PORT to choose another port`,
    );
  ports.keep('api', port);
  return port;
}

async function checkPolicies(folder: string): Promise<readonly string[]> {
  const result = await loadFolder(folder);
  if (result.status === 'loaded') return result.policySet.environments.map(({ name }) => name);
  const lines = result.errors.map((error) => {
    const place =
      error.file === undefined
        ? folder
        : `${relative(process.cwd(), resolve(folder, error.file))}:${error.line}:${error.column}`;
    return `${place} ${error.message} (${error.code}${error.path === '' ? '' : ` at ${error.path}`})`;
  });
  throw new BootFailure([`the policies in \`${folder}\` have errors:`, ...lines].join('\n'));
}

/** Each process loads the keys for itself: a key that none can use is told once, before any of them starts. */
async function checkKeys({ home }: Config): Promise<void> {
  try {
    await loadKeys(home, process.env);
  } catch (error) {
    throw error instanceof UnusableKey ? new BootFailure(error.message) : error;
  }
}

function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function textOfError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
