// Which test files run in one process, which need the servers, and in which order.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib.mjs';

/** Seconds by test file, as `npm test -- --record` has measured them. */
const recorded = join(root, 'test', 'timings.json');

/**
 * The modules to run, in two lanes. A file that says so (`Mostly waits: …`) waits, and runs beside the others. Of those, a file
 * that asks for the servers has a process of its own, the longest first, unless it shares a stack or has the API in its own
 * process; the others run many in one, since starting a process costs more than most of them do.
 */
export function planTests(folder, tests) {
  const seconds = existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {};
  const secondsOf = (files) => files.reduce((sum, { file }) => sum + (seconds[file] ?? 0), 0);
  const longestFirst = (processes) => processes.toSorted((a, b) => secondsOf(b) - secondsOf(a));
  const served = tests.filter(({ sources }) => asksForServers(sources));
  const busy = tests.filter((test) => !mostlyWaits(test));
  const [ofStack, ofApi, alone, pure] = ['stack', 'api', 'alone', 'pure'].map((kind) =>
    busy.filter((test) => (served.includes(test) ? sharingOf(test) : 'pure') === kind),
  );
  const processes = [
    ...longestFirst([...alone.map((test) => [test]), ...shareOut(ofStack, 1), ...shareOut(ofApi, 6)]),
    ...shareOut(pure, 8),
  ];
  return {
    busy: processes.map((files, index) => moduleOf(folder, files, index)),
    waiting: longestFirst(tests.filter(mostlyWaits).map((test) => [test])).map(([{ path }]) => path),
    needServers: served.length > 0,
  };
}

function sharingOf({ file, sources }) {
  if (sources.includes('testing/shared-stack.ts')) return 'stack';
  // What it uses is in its process, and stands from before its suite to after it.
  const usesApi = sources.includes('test/api/harness.ts') && /^test\/(api|pages|service)\//u.test(file);
  const isOfProcess = /^(before|after)(Each)?\(|\bmock\./mu.test(sourceOf(file));
  return usesApi && !isOfProcess ? 'api' : 'alone';
}

const mostlyWaits = ({ file }) => /^\/\/ Mostly waits: /mu.test(sourceOf(file));

/** It has a full size, which the campaigns run. */
export const usesSamples = ({ sources }) => sources.includes('testing/samples.ts');

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
function shareOut(files, processes) {
  const shares = Array.from({ length: Math.min(processes, files.length) }, () => []);
  files.forEach((file, index) => shares[index % shares.length].push(file));
  return shares;
}

function moduleOf(folder, files, index) {
  return files.length === 1 ? files[0].path : writeGroup(folder, files, index);
}

function writeGroup(folder, files, index) {
  const path = join(folder, `together-${index + 1}.js`);
  const imports = files.map((file) => `import './${relative(folder, file.path)}';\n`);
  writeFileSync(join(root, path), imports.join(''));
  return path;
}
