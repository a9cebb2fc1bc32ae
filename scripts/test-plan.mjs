// Which test files run in one process, which need the servers, and in which order.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib.mjs';

/** Seconds by test file, as `npm test -- --record` has measured them. */
const recorded = join(root, 'test', 'timings.json');
const readTimings = () => (existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {});
/** Of a file that was not measured yet. */
const unknownSeconds = 2;
/** All files with one of these share the stack that it starts. */
const sharedStacks = { stack: 'testing/servers/shared-stack.ts', joint: 'testing/servers/joint-stack.ts' };
/** Processes for the files that share one: with a stack, with the API or the servers, and without. */
const shared = { stack: 1, joint: 1, api: 6, pure: 5 };

/**
 * The modules to run, in two lanes, the longest first. A file that says so (`Mostly waits: …`) waits, and runs beside the
 * others, and so do those that share a stack. Of the others, a file that starts processes, or changes its own, has a process of
 * its own; the rest run many in one, since starting a process costs more than most of them do. `apart`: each file has its own.
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
  return isOfProcess.test(source) ? 'alone' : 'api';
}
const startsProcesses = new Set(['testing/servers/stack.ts', 'testing/servers/product.ts']);
const startsDrill = /\bprogramArgs\('drill\//u;
/** What the files of a process have in common, so that it has to be left as it was found. */
const isOfProcess = /(?<!\bt\.)\bmock\.|\bprocess\.(env\[[^\]]+\] = |on\(|kill\()|\bRuntime\.install\(/u;
/** They are the file's own where it has a suite of its own. */
const hasHooks = /^(before|after)(Each)?\(/mu;

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
  const imports = files.map(({ file, path: compiled }) => {
    const from = `'./${relative(folder, compiled)}'`;
    if (files.length === 1 || !hasHooks.test(sourceOf(file))) return `import ${from};\n`;
    return `describe('${file}', async () => void (await import(${from})));\n`;
  });
  imports.unshift("import { describe } from 'node:test';\n");
  writeFileSync(join(root, path), imports.join(''));
  return { path, files: files.map(({ file }) => file) };
}
