import { createHash } from 'node:crypto';
import { chmodSync, createWriteStream, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { startGuardedServer } from '../process/guarded-server.js';
import { runCommand, tailOf, type Say } from '../process/system.js';

export interface InstallJob {
  readonly version: string;
  /** Where the binary will be, in an existing folder. */
  readonly target: string;
  readonly say: Say;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

export type Installed =
  { readonly status: 'installed' } | { readonly status: 'unavailable'; readonly message: string };

const module = 'github.com/temporalio/cli/cmd/temporal';
const heartbeatMs = 8_000;
const answerMs = 10_000;
const downloadMs = 300_000;

/** SHA-256 of the release archives of the pinned version: an archive with another checksum is not unpacked. */
const checksums: Readonly<Record<string, string>> = {
  '1.5.1 linux_amd64': 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
  '1.5.1 linux_arm64': 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
  '1.5.1 darwin_amd64': 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
  '1.5.1 darwin_arm64': 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
};

/** Installs from the official release archive. Gives up within seconds where the network refuses or does not answer. */
export async function download(job: InstallJob): Promise<Installed> {
  const platform = `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const expected = checksums[`${job.version} ${platform}`];
  if (expected === undefined)
    return { status: 'unavailable', message: `no archive is known for \`${platform}\`` };
  const archive = `temporal_cli_${job.version}_${platform}.tar.gz`;
  const url = `https://github.com/temporalio/cli/releases/download/v${job.version}/${archive}`;
  const folder = mkdtempSync(join(dirname(job.target), 'download-'));
  try {
    const file = join(folder, archive);
    const actual = await fetchTo(url, file, job);
    if (actual !== expected) {
      return { status: 'unavailable', message: `\`${url}\` has checksum ${actual}, expected ${expected}` };
    }
    const unpacked = await runCommand('tar', ['-xzf', file, '-C', folder, 'temporal']);
    if (unpacked.code !== 0)
      return { status: 'unavailable', message: `cannot unpack: ${unpacked.stderr.trim()}` };
    moveInPlace(join(folder, 'temporal'), job.target);
    return { status: 'installed' };
  } catch (error) {
    job.signal.throwIfAborted();
    return { status: 'unavailable', message: `cannot fetch \`${url}\`: ${reasonOf(error)}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Downloads into a file; gives the SHA-256 of the content. */
async function fetchTo(url: string, file: string, { say, signal }: InstallJob): Promise<string> {
  say(`downloading \`${url}\``);
  const silent = new AbortController();
  const timer = setTimeout(() => silent.abort(new Error(`no answer within ${answerMs / 1000} s`)), answerMs);
  const stop = AbortSignal.any([signal, silent.signal, AbortSignal.timeout(downloadMs)]);
  const response = await fetch(url, { signal: stop }).finally(() => clearTimeout(timer));
  if (!response.ok || response.body === null) throw new Error(`answered ${response.status}`);
  const hash = createHash('sha256');
  let received = 0;
  const beat = setInterval(() => say(`downloading: ${Math.round(received / 1_048_576)} MB`), heartbeatMs);
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      received += chunk.length;
      done(null, chunk);
    },
  });
  try {
    // The types of this class in web and Node declarations differ; the object is the same.
    const body = Readable.fromWeb(response.body as ReadableStream);
    await pipeline(body, meter, createWriteStream(file), { signal: stop });
  } finally {
    clearInterval(beat);
  }
  return hash.digest('hex');
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** Builds the same version from its source, which Go's checksum database verifies. */
export async function buildWithGo(job: InstallJob): Promise<Installed> {
  const go = await runCommand('go', ['version'], { env: job.env });
  if (go.code !== 0)
    return { status: 'unavailable', message: 'go is not installed, so it cannot be built either' };
  const folder = mkdtempSync(join(dirname(job.target), 'build-'));
  const log = join(dirname(job.target), 'go-install.log');
  try {
    const ended = await goInstall(job, folder, log);
    job.signal.throwIfAborted();
    const built = join(folder, 'temporal');
    if (!existsSync(built)) {
      return { status: 'unavailable', message: `go install ended with ${ended}:\n${tailOf(log)}` };
    }
    moveInPlace(built, job.target);
    return { status: 'installed' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function goInstall(job: InstallJob, gobin: string, log: string): Promise<string> {
  const { say, signal, version, env } = job;
  say(`building the temporal CLI ${version} with go install: 2 to 5 minutes, once`);
  const started = Date.now();
  const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const build = await startGuardedServer({
    name: 'go-install',
    command: 'go',
    args: ['install', '-ldflags=-s -w', `${module}@v${version}`],
    env: { HOME: homedir(), ...Object.fromEntries(defined), GOBIN: gobin },
    cwd: gobin,
    user: null,
    log,
    stopSignal: 'SIGTERM',
    graceMs: 2_000,
    group: true,
  });
  const stop = (): void => void build.stop();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const beat = setInterval(() => {
    say(`building the temporal CLI: ${Math.round((Date.now() - started) / 1000)} s`);
  }, heartbeatMs);
  try {
    return await build.exited;
  } finally {
    clearInterval(beat);
    signal.removeEventListener('abort', stop);
  }
}

/** Moves the binary to its place by a rename, so that it is there completely or not at all. */
function moveInPlace(file: string, target: string): void {
  chmodSync(file, 0o755);
  renameSync(file, target);
}
