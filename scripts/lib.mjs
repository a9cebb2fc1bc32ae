// What start, test and build share. It is plain JavaScript and uses only Node, because it runs before anything is installed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const heartbeatMs = 8_000;

let progressStream = 'stdout';

/** For a command whose standard output is its answer: progress goes to standard error. */
export const tellOnStderr = () => (progressStream = 'stderr');

export const say = (line) => process[progressStream].write(`${line}\n`);

export function assertNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(`node \`${process.versions.node}\` is too old: install Node 20.19 or newer\n`);
  process.exit(1);
}

/** npm takes `--no-demo` before a `--` for an option of its own, and hands on only a variable. */
export function assertOptionsArrived(command) {
  if (process.env.npm_config_demo !== '' || process.argv.includes('--no-demo')) return;
  process.stderr.write(
    `npm has kept \`--no-demo\` for itself, and nothing is started: write \`${command} -- --no-demo\`\n`,
  );
  process.exit(2);
}

/** An AbortSignal for SIGINT, SIGTERM and SIGHUP. npm and the terminal both send a signal, so a second signal changes nothing. */
export function stopSignal() {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => controller.abort(name));
  // If nobody reads our output any more (`npm start | head -1`, a full disk), the command stops without a message.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', ({ code }) => controller.abort(code));
  return controller.signal;
}

/**
 * Runs a command in a process group of its own and passes its output on. If there is no output for a while, says that the step
 * still runs, unless `isSilent`. Gives the exit code; fails if it is not 0, unless `anyCode`. After a stop the command has
 * `graceMs` to end.
 */
export function runStep(
  title,
  command,
  args,
  { signal, env = process.env, anyCode = false, graceMs = 2_000, isSilent = () => false } = {},
) {
  if (signal?.aborted) throw new Stopped();
  const started = Date.now();
  let lastOutput = started;
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const child = spawn(command, args, {
    cwd: root,
    env: { ...env, ...color },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const name of ['stdout', 'stderr']) {
    child[name].on('data', (chunk) => {
      lastOutput = Date.now();
      process[name === 'stdout' ? progressStream : name].write(chunk);
    });
  }
  const beat = setInterval(() => {
    if (!isSilent() && Date.now() - lastOutput >= heartbeatMs - 100)
      say(`${title}: ${Math.round((Date.now() - started) / 1000)} s`);
  }, heartbeatMs / 2);
  const stop = () => {
    killGroup(child.pid, 'SIGTERM');
    setTimeout(() => killGroup(child.pid, 'SIGKILL'), graceMs).unref();
  };
  signal?.addEventListener('abort', stop);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, by) => {
      if (signal?.aborted) reject(new Stopped());
      else if (code === 0 || (anyCode && code !== null)) resolve(code);
      else
        reject(new Failed(`${title}: \`${command} ${args.join(' ')}\` ended with ${by ?? `code ${code}`}`));
    });
  }).finally(async () => {
    // Processes that a stopped command has started may outlive it for a moment.
    for (let left = graceMs; signal?.aborted && groupExists(child.pid) && left > 0; left -= 100)
      await sleep(100);
    clearInterval(beat);
    signal?.removeEventListener('abort', stop);
  });
}

/** The user asked to stop: not an error. */
export class Stopped extends Error {}
/** An expected failure: its message is for the user, without a stack. */
export class Failed extends Error {}

function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function groupExists(pid) {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Holds a lock while `fn` runs; others wait for it. The operating system drops the lock if the process ends. */
export async function withLock(key, waiting, signal, fn) {
  const name = `countersign-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  const path = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  let said = 0;
  for (;;) {
    const server = await tryListen(path);
    if (server !== null) {
      try {
        return await fn();
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }
    if (signal?.aborted) throw new Stopped();
    if (Date.now() - said > heartbeatMs) {
      say(waiting);
      said = Date.now();
    }
    await sleep(300);
  }
}

function tryListen(path) {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.end(String(process.pid)));
    server.unref();
    server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen({ path }, () => resolve(server));
  });
}

export const lockFile = join(root, 'package-lock.json');
const installStamp = join(root, 'node_modules', '.countersign-installed');

function isInstalled() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(marker)) return false;
  if (statSync(marker).mtimeMs >= statSync(lockFile).mtimeMs) return true;
  return existsSync(installStamp) && readFileSync(installStamp, 'utf8') === hashOf([lockFile]);
}

/** Installs exactly what package-lock.json names, unless that is done already. */
export async function ensureInstalled(signal) {
  if (isInstalled()) return;
  await withLock(
    `install:${root}`,
    'waiting for another process to install dependencies',
    signal,
    async () => {
      if (isInstalled()) return;
      say('installing dependencies (npm ci)');
      const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
      const npm = process.env.npm_execpath;
      if (npm?.endsWith('.js'))
        await runStep('installing dependencies', process.execPath, [npm, ...args], { signal });
      else await runStep('installing dependencies', 'npm', args, { signal });
      writeFileSync(installStamp, hashOf([lockFile]));
    },
  );
}

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

export function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths)
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update('\0');
  return hash.digest('hex');
}

/** The files that become dist/: all of src and examples. */
export const sourceFiles = () => [...filesBelow(join(root, 'src')), ...filesBelow(join(root, 'examples'))];

/** The hash of all that dist/ depends on: equal hash, equal dist/. */
export function buildHash() {
  const scripts = ['build.mjs', 'lib.mjs'].map((name) => join(root, 'scripts', name));
  return hashOf([...sourceFiles(), ...scripts, lockFile]);
}

export const buildStamp = join(root, 'dist', '.stamp');
export const isBuilt = (hash) => existsSync(buildStamp) && readFileSync(buildStamp, 'utf8') === hash;

/** Whether dist/ is older than its sources. A server image has dist/ without sources, so its dist/ is never stale. */
export const isStale = () => existsSync(join(root, 'src')) && !isBuilt(buildHash());

/** Builds dist/ if its sources have changed, in a process of its own, so that webpack's memory is freed with it. */
export async function ensureBuilt(signal) {
  if (isBuilt(buildHash())) return;
  say('building');
  await runStep('building', process.execPath, [join(root, 'scripts', 'build.mjs')], { signal });
}
