// Plans which test files run in one process, which of them need the servers, and in which order they run.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib.mjs';

/** Seconds by test file, as `npm test -- --record` has measured them. */
const recorded = join(root, 'test', 'timings.json');
const readTimings = () => (existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {});
/** Assumed for a file that was not measured yet. */
const unknownSeconds = 2;
/** Each of these modules starts a stack, which all test files that import the module share. */
const sharedStacks = { stack: 'testing/servers/shared-stack.ts', joint: 'testing/servers/joint-stack.ts' };
/** How many processes run the files that share one: files with a stack, with the API or the servers, and without servers. */
const shared = { stack: 1, joint: 1, api: 6, pure: 5 };

/**
 * Plans the modules to run, in two lanes, the longest first. Files that share a stack, and files that say `Mostly waits: …`, run
 * in the waiting lane, beside the others. A file that starts processes, or changes its own process, has a process of its own. The
 * rest share processes, since to start one costs more than most files do. `apart`: each file has a process of its own.
 */
export function planTests(folder, tests, { apart }) {
  const timings = readTimings();
  const secondsOf = (files) => files.reduce((sum, { file }) => sum + (timings[file] ?? unknownSeconds), 0);
  const longestFirst = (processes) => processes.toSorted((a, b) => secondsOf(b) - secondsOf(a));
  const served = tests.filter(({ sources }) => asksForServers(sources));
  const kindOf = (test) => (apart ? 'alone' : sharingOf(test, served.includes(test)));
  const alone = (test) => ({ waits: mostlyWaits(test), files: [test] });
  const together = (kind) => {
    const files = longestFirst(tests.filter((test) => kindOf(test) === kind).map((test) => [test])).flat();
    return shareOut(files, shared[kind], secondsOf).map((each) => ({
      waits: kind in sharedStacks,
      files: each,
    }));
  };
  const processes = [
    ...tests.filter((test) => kindOf(test) === 'alone').map(alone),
    ...Object.keys(shared).flatMap(together),
  ];
  const modulesOf = (lane, waits) =>
    longestFirst(processes.filter((each) => each.waits === waits).map(({ files }) => files)).map(
      (files, index) => writeModule(folder, `${lane}-${String(index).padStart(3, '0')}`, files),
    );
  return {
    busy: modulesOf('busy', false),
    waiting: modulesOf('waiting', true),
    needServers: served.length > 0,
  };
}

function sharingOf(test, isServed) {
  const { file, sources } = test;
  const stack = Object.entries(sharedStacks).find(([, source]) => sources.includes(source));
  if (stack !== undefined) return stack[0];
  const source = sourceOf(file);
  const startsOthers = sources.some((path) => startsProcesses.has(path)) || startsDrill.test(source);
  if (startsOthers || mostlyWaits(test)) return 'alone';
  if (!isServed) return 'pure';
  return changesProcess.test(source) ? 'alone' : 'api';
}
const startsProcesses = new Set(['testing/servers/stack.ts', 'testing/servers/product.ts']);
const startsDrill = /\bprogramArgs\('drill\//u;
/** Finds changes of what belongs to the whole process, which files that share a process must leave as they found it. */
const changesProcess = /(?<!\bt\.)\bmock\.|\bprocess\.(env\[[^\]]+\] = |on\(|kill\()|\bRuntime\.install\(/u;
/** Finds hooks outside a suite: such a file is put into a suite of its own, so that they are for this file alone. */
const hasHooks = /^(before|after)(Each)?\(/mu;

const mostlyWaits = ({ file }) => /^\/\/ Mostly waits: /mu.test(sourceOf(file));

/** Whether only the campaigns run the file. */
export const isCampaign = ({ file }) => file.endsWith('.campaign.ts');

/** Whether the file leaves a part of itself to the campaigns, which run all of it. */
export const usesSamples = ({ sources }) => sources.includes('testing/samples.ts');

/** Records the time of each test file that has run in a process of its own. Files that no longer exist are left out. */
export function recordTimings(times) {
  const measured = times.map(({ files: [file], seconds }) => [file, Math.round(seconds * 10) / 10]);
  const timings = Object.entries({ ...readTimings(), ...Object.fromEntries(measured) })
    .filter(([file]) => existsSync(join(root, file)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(recorded, `${JSON.stringify(Object.fromEntries(timings), null, 2)}\n`);
}

/** Whether a test file, or a module that it shares with others, reads the addresses of the servers. */
function asksForServers(sources) {
  return sources.some((path) => /^(test|testing)\//u.test(path) && servers.test(sourceOf(path)));
}
const servers = /TEST_(DATABASE|TEMPORAL)_[A-Z]+/u;

const read = new Map();
function sourceOf(path) {
  if (!read.has(path)) read.set(path, readFileSync(join(root, path), 'utf8'));
  return read.get(path);
}

/** Shares out files, the longest first; each goes to the process that has the least to do so far. */
function shareOut(files, processes, secondsOf) {
  const shares = Array.from({ length: Math.min(processes, files.length) }, () => []);
  for (const file of files) {
    const least = Math.min(...shares.map(secondsOf));
    shares.find((share) => secondsOf(share) === least).push(file);
  }
  return shares;
}

/** Writes the module that imports these files. Its name gives the order: `node --test` runs modules in the order of their names. */
function writeModule(folder, name, files) {
  const path = join(folder, `${name}.js`);
  const imports = files.map(({ file, path: compiled }) => {
    const from = `'./${relative(folder, compiled)}'`;
    if (files.length === 1 || !hasHooks.test(sourceOf(file))) return `import ${from};\n`;
    return `describe('${file}', async () => void (await import(${from})));\n`;
  });
  imports.unshift("import { describe } from 'node:test';\n");
  writeFileSync(join(root, path), imports.join(''));
  return { path, files: files.map(({ file }) => file) };
}
