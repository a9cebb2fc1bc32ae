// `npm run dev [-- --no-demo]` does what `npm start` does. Whenever a source changes, it also builds, and restarts API and worker
// inside the running product, while Postgres and Temporal stay up. If a build fails it says so, and what runs goes on. It checks
// no types.
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import {
  assertNodeVersion,
  assertOptionsArrived,
  ensureBuilt,
  ensureInstalled,
  Failed,
  hashOf,
  root,
  say,
  sourceFiles,
  stopSignal,
  Stopped,
} from './lib.mjs';

/** An editor writes a file in several steps, and a checkout many files. */
const quietMs = 50;

assertNodeVersion();
assertOptionsArrived('npm run dev');
const signal = stopSignal();
try {
  await ensureInstalled(signal);
  const sources = watchSources();
  while (!(await build(await sources.changed()))) say('the product is not started before a build succeeds');
  const { up } = await import(pathToFileURL(join(root, 'dist', 'processes', 'up.js')).href);
  process.exitCode = await up({
    args: process.argv.slice(2),
    signal,
    onReady: (product) => void follow(product, sources).catch(fail),
  });
} catch (error) {
  fail(error);
}
// Whatever handle a library left open must not keep a stopped product alive.
process.exit();

function fail(error) {
  if (error instanceof Stopped || signal.aborted) return;
  process.stderr.write(`${error instanceof Failed ? error.message : (error.stack ?? error)}\n`);
  process.exitCode = 1;
}

/** Builds and restarts, one change after another. */
async function follow(product, sources) {
  say('watching src/ and examples/: when a source changes, API and worker are restarted');
  const running = readSupervisor();
  let restarting = Promise.resolve();
  let replaced = new AbortController();
  // The sources that have changed since the last build that succeeded.
  let changed = [];
  while (!signal.aborted) {
    changed = [...new Set([...changed, ...(await sources.changed())])];
    if (!(await build(changed))) continue;
    // A restart that is under way waits for processes of a build that is replaced now.
    replaced.abort();
    await restarting;
    replaced = new AbortController();
    restarting = restart(product, changed, replaced.signal);
    changed = [];
    if (readSupervisor() !== running)
      say('the supervisor itself has changed too: to run the new one, stop `npm run dev` and start it again');
  }
}

/** Restarts the example services if one of them has changed. */
async function restart(product, changed, replaced) {
  const examples = changed.some((path) => path.startsWith('examples/'));
  const started = Date.now();
  try {
    await product.restart({ examples }, replaced);
    say(
      `started API, worker${examples ? ', example services' : ''} anew in ${seconds(started)}: they answer`,
    );
  } catch (error) {
    if (!replaced.aborted && !signal.aborted) say(`${error.message}\n(waiting for the next change)`);
  }
}

/** Builds, and says whether that succeeded. If not, the errors have been printed, and dist/ is as it was. */
async function build(changed) {
  const started = Date.now();
  try {
    await ensureBuilt(signal);
  } catch (error) {
    if (error instanceof Stopped) throw error;
    if (!(error instanceof Failed)) process.stderr.write(`${error.stack}\n`);
    say('the build failed, and what runs goes on: mend the source');
    return false;
  }
  if (changed.length > 0) say(`built ${listPaths(changed)} in ${seconds(started)}`);
  return true;
}

function seconds(since) {
  return `${((Date.now() - since) / 1_000).toFixed(2)} s`;
}

function listPaths(paths) {
  return paths.length <= 3 ? paths.join(', ') : `${paths.length} files`;
}

/** The code of this process, without the names of the chunks that it shares with other programs. */
function readSupervisor() {
  const bundle = join(root, 'dist', 'bundle', 'processes-up.js');
  return readFileSync(bundle, 'utf8').replaceAll(/chunk-\w+/g, '');
}

/** `changed` resolves with the paths of the sources whose content has changed since its last call; the first call gives none. */
function watchSources() {
  const watchers = new Map();
  let hashes = null;
  let isTouched = true;
  let wake = () => undefined;
  const touch = () => {
    isTouched = true;
    wake();
  };
  const watchFolders = () => {
    for (const [folder, watcher] of watchers)
      if (!existsSync(folder)) {
        watcher.close();
        watchers.delete(folder);
      }
    for (const folder of sourceFolders())
      if (!watchers.has(folder)) watchers.set(folder, watch(folder, touch).on('error', touch));
  };
  signal.addEventListener('abort', () => {
    for (const watcher of watchers.values()) watcher.close();
    wake();
  });
  return {
    async changed() {
      for (;;) {
        if (!isTouched) await new Promise((resolve) => (wake = resolve));
        if (signal.aborted) throw new Stopped();
        if (hashes !== null) await sleep(quietMs);
        isTouched = false;
        const before = hashes;
        try {
          // A file that is written after this line calls `touch` again.
          watchFolders();
          hashes = hashesOf(sourceFiles());
        } catch (error) {
          // A file or folder went away meanwhile: look again.
          if (before === null || error.code !== 'ENOENT') throw error;
          isTouched = true;
          continue;
        }
        const paths = [...new Set([...(before ?? hashes).keys(), ...hashes.keys()])];
        const changed = paths.filter((path) => before !== null && before.get(path) !== hashes.get(path));
        if (before === null || changed.length > 0) return changed;
      }
    },
  };
}

/** All folders of the sources, also those without files. */
function sourceFolders() {
  return ['src', 'examples'].flatMap((name) => [
    join(root, name),
    ...readdirSync(join(root, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name)),
  ]);
}

function hashesOf(files) {
  return new Map(files.filter(existsSync).map((path) => [relative(root, path), hashOf([path])]));
}
