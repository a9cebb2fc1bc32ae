// Which test files run in one process, which need the servers, and in which order.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib.mjs';

/** Seconds by test file, as `npm test -- --record` has measured them. */
const recorded = join(root, 'test', 'timings.json');
const readTimings = () => (existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {});
/** Of a file that was not measured yet. */
const unknownSeconds = 2;
/** A file that takes so long has a process of its own: it would hold up those that it is together with. */
const longSeconds = 8;

/**
 * The modules to run, in two lanes, the longest first. A file that says so (`Mostly waits: …`) waits, and runs beside the
 * others. Of those, a file that starts processes, changes its own, or needs no server and takes long, has a process of its own;
 * the others run many in one, since starting a process costs more than most of them do. `apart`: each file has its own.
 */
export function planTests(folder, tests, { apart }) {
  const timings = readTimings();
  const secondsOf = (files) => files.reduce((sum, { file }) => sum + (timings[file] ?? unknownSeconds), 0);
  const longestFirst = (processes) => processes.toSorted((a, b) => secondsOf(b) - secondsOf(a));
  const served = tests.filter(({ sources }) => asksForServers(sources));
  const kindOf = (test) => {
    if (apart) return 'alone';
    if (served.includes(test)) return sharingOf(test);
    return secondsOf([test]) < longSeconds ? 'pure' : 'alone';
  };
  const busy = longestFirst(tests.filter((test) => !mostlyWaits(test)).map((test) => [test])).flat();
  const [ofStack, ofApi, alone, pure] = ['stack', 'api', 'alone', 'pure'].map((kind) =>
    busy.filter((test) => kindOf(test) === kind),
  );
  const processes = longestFirst([
    ...alone.map((test) => [test]),
    ...shareOut(ofStack, 1, secondsOf),
    ...shareOut(ofApi, 8, secondsOf),
    ...shareOut(pure, 8, secondsOf),
  ]);
  const waiting = longestFirst(tests.filter(mostlyWaits).map((test) => [test]));
  const modulesOf = (lane, all) =>
    all.map((files, index) => writeModule(folder, `${lane}-${String(index).padStart(3, '0')}`, files));
  return {
    busy: modulesOf('busy', processes),
    waiting: modulesOf('waiting', waiting),
    needServers: served.length > 0,
  };
}

function sharingOf({ file, sources }) {
  if (sources.includes('testing/shared-stack.ts')) return 'stack';
  if (sources.some((path) => startsProcesses.has(path))) return 'alone';
  // All that it uses is in its process, and stands from before its suite to after it.
  return isOfProcess.test(sourceOf(file)) ? 'alone' : 'api';
}
const startsProcesses = new Set(['testing/stack.ts', 'testing/product.ts']);
const isOfProcess = /^(before|after)(Each)?\(|\bmock\.|\bprocess\.(env\[|on\(|kill\()|\bRuntime\.install\(/mu;

const mostlyWaits = ({ file }) => /^\/\/ Mostly waits: /mu.test(sourceOf(file));

/** It runs in the campaigns alone. */
export const isCampaign = ({ file }) => file.endsWith('.campaign.ts');

/** It leaves a part of itself to the campaigns, which run all of it. */
export const usesSamples = ({ sources }) => sources.includes('testing/samples.ts');

/** Of each test file that has run in a process of its own; the files that are gone are left out. */
export function recordTimings(times) {
  const measured = times.map(({ files: [file], seconds }) => [file, Math.round(seconds * 10) / 10]);
  const timings = Object.entries({ ...readTimings(), ...Object.fromEntries(measured) })
    .filter(([file]) => existsSync(join(root, file)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(recorded, `${JSON.stringify(Object.fromEntries(timings), null, 2)}\n`);
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

/** The longest first, each to those that take the least so far. */
function shareOut(files, processes, secondsOf) {
  const shares = Array.from({ length: Math.min(processes, files.length) }, () => []);
  for (const file of files) {
    const least = Math.min(...shares.map(secondsOf));
    shares.find((share) => secondsOf(share) === least).push(file);
  }
  return shares;
}

/** The names give the order, because `node --test` always runs modules in the order of their names. */
function writeModule(folder, name, files) {
  const path = join(folder, `${name}.js`);
  const imports = files.map((file) => `import './${relative(folder, file.path)}';\n`);
  writeFileSync(join(root, path), imports.join(''));
  return { path, files: files.map(({ file }) => file) };
}
