// Which test files run in one process, which need the servers, and in which order.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib.mjs';

/** So many processes for the files that ask for no server. */
const groups = 8;
/** Seconds by test file, as `npm test -- --record` has measured them. */
const recorded = join(root, 'test', 'timings.json');

/**
 * The modules to run: those that ask for the servers one in a process, the longest first; the others many in one, since
 * starting a process costs more than most of them do.
 */
export function planTests({ folder, tests }) {
  const seconds = existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {};
  const secondsOf = ({ file }) => seconds[file] ?? 0;
  const isServed = new Map(tests.map((test) => [test, asksForServers(test.sources)]));
  const served = tests.filter((test) => isServed.get(test)).sort((a, b) => secondsOf(b) - secondsOf(a));
  const together = shareOut(tests.filter((test) => !isServed.get(test)));
  return {
    served: served.map(({ path }) => path),
    together: together.map((files, index) => writeGroup(folder, files, index)),
  };
}

/** Of each test file that has run in a process of its own; the files that are gone are left out. */
export function recordTimings(times, { tests }) {
  const kept = existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {};
  const measured = Object.fromEntries(
    times.map(({ file, seconds }) => [file, Math.round(seconds * 10) / 10]),
  );
  const files = tests.map(({ file }) => file).filter((file) => (measured[file] ?? kept[file]) !== undefined);
  const timings = Object.fromEntries(files.sort().map((file) => [file, measured[file] ?? kept[file]]));
  writeFileSync(recorded, `${JSON.stringify(timings, null, 2)}\n`);
}

/** A test file, or what it shares with others, reads the addresses of the servers. */
function asksForServers(sources) {
  return sources.some((path) => /^(test|testing)\//u.test(path) && servers.test(sourceOf(path)));
}
const servers = /TEST_(DATABASE|TEMPORAL)_[A-Z]+/u;

const read = new Map();
function sourceOf(path) {
  if (!read.has(path)) read.set(path, readFileSync(join(root, path), 'utf8'));
  return read.get(path);
}

/** One after the other, so that the files of a folder, which take about as long, do not come together. */
function shareOut(files) {
  const shares = Array.from({ length: Math.min(groups, files.length) }, () => []);
  files.forEach((file, index) => shares[index % shares.length].push(file));
  return shares;
}

function writeGroup(folder, files, index) {
  const path = join(folder, `together-${index + 1}.js`);
  const imports = files.map((file) => `import './${relative(folder, file.path)}';\n`);
  writeFileSync(join(root, path), imports.join(''));
  return path;
}
