import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { waitForLock } from '../process/lock.js';
import { buildWithGo, download } from './install.js';
import { runCommand, type Say } from '../process/system.js';

/** The version that we install. A CLI that is already on the machine is used whatever its version. */
const pinnedCli = '1.5.1';

export type FoundBinary =
  | { readonly status: 'found'; readonly path: string }
  | { readonly status: 'missing'; readonly message: string };

export interface FindOptions {
  readonly say: Say;
  readonly signal: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Finds Temporal's CLI, which contains the dev server: at TEMPORAL_CLI_PATH, else on PATH, else in our cache; else it is
 * downloaded, or else built with Go, into the cache, which all clones and tests share.
 */
export async function findTemporal({ say, signal, env = process.env }: FindOptions): Promise<FoundBinary> {
  const given = env['TEMPORAL_CLI_PATH'];
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return { status: 'found', path: given };
    return { status: 'missing', message: `TEMPORAL_CLI_PATH is \`${given}\`, which is no executable file` };
  }
  const onPath = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'temporal'))
    .find(isExecutable);
  if (onPath !== undefined) return { status: 'found', path: onPath };
  const cache = cacheFolder(env);
  const cached = join(cache, `temporal-${pinnedCli}`);
  if (isExecutable(cached)) return { status: 'found', path: cached };
  return install(cache, cached, { say, signal, env });
}

/** Outside of the data folder, so that all clones and tests share what took long. */
function cacheFolder(env: NodeJS.ProcessEnv): string {
  const xdg = env['XDG_CACHE_HOME'];
  return xdg === undefined || xdg === ''
    ? join(homedir(), '.cache', 'countersign')
    : join(xdg, 'countersign');
}

async function install(cache: string, target: string, options: Required<FindOptions>): Promise<FoundBinary> {
  const { say, signal } = options;
  mkdirSync(cache, { recursive: true });
  const lock = await waitForLock(
    `temporal-cli:${target}`,
    () => say('waiting for another process that is installing the temporal CLI'),
    signal,
  );
  try {
    signal.throwIfAborted();
    if (existsSync(target)) return { status: 'found', path: target };
    say(`no temporal CLI found: installing version ${pinnedCli} into \`${cache}\``);
    const job = { version: pinnedCli, target, ...options };
    const downloaded = await download(job);
    if (downloaded.status === 'installed') return { status: 'found', path: target };
    say(`the official download cannot be used: ${downloaded.message}`);
    const built = await buildWithGo(job);
    if (built.status === 'installed') return { status: 'found', path: target };
    const advice =
      'install the temporal CLI (https://docs.temporal.io/cli) so that it is on PATH, ' +
      'or set TEMPORAL_CLI_PATH, or TEMPORAL_ADDRESS to use a server of your own';
    return {
      status: 'missing',
      message: `no temporal CLI: ${downloaded.message}; ${built.message}; ${advice}`,
    };
  } finally {
    await lock?.release();
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The version as the binary says it: `temporal version 1.5.1 (Server 1.29.1, …)`. */
export async function temporalVersion(binary: string): Promise<string> {
  const done = await runCommand(binary, ['--version'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir() },
  });
  if (done.code !== 0) throw new Error(`\`${binary} --version\` failed: ${done.stderr.trim()}`);
  return done.stdout.trim();
}
