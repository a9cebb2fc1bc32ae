import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { loadFolder, type LoadedFolder, type Problem } from '../policy/index.js';
import { parseFile } from '../policy/text/bytes.js';
import {
  readCases,
  resultLines,
  runCase,
  untested,
  type Case,
  type CaseResult,
} from '../simulation/index.js';
import type { Command } from './options.js';
import { CliError, policiesOf } from './rest.js';

/** `npx countersign test`: plays the cases beside the policies on paper. No server is asked, nothing is executed. */
export const testCommand: Command = {
  takes: ['…paths'],
  options: [],
  what: 'play the cases of policies/tests on this machine, without a server',
  run: async ({ args, terminal }) => {
    const tested = await testPaths(args, terminal.env);
    const failed = tested.results.filter((result) => result.status === 'failed').length;
    const passed = tested.results.length - failed;
    return {
      json: { passed, failed, invalid: tested.invalid, cases: tested.results, untested: tested.untested },
      lines: testLines(tested, passed, failed),
      exitCode: tested.invalid.length > 0 ? 2 : failed > 0 ? 1 : 0,
    };
  },
};

interface Tested {
  /** Problems of case files, and of policies that cannot be loaded. */
  readonly invalid: readonly Problem[];
  readonly results: readonly CaseResult[];
  readonly untested: readonly { readonly flow: string; readonly transitions: readonly string[] }[];
}

const caseFile = /\.test\.(ya?ml|json)$/i;

export async function testPaths(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<Tested> {
  const folder = policiesOf(env);
  const groups = byFolder(paths.length === 0 ? [folder] : paths, folder);
  const tested: Tested[] = [];
  for (const [root, files] of groups) tested.push(await testFolder(root, files));
  const all: Tested = {
    invalid: tested.flatMap((part) => part.invalid),
    results: tested.flatMap((part) => part.results),
    untested: tested.flatMap((part) => part.untested),
  };
  if (all.results.length === 0 && all.invalid.length === 0)
    throw new CliError(
      `there are no cases in ${[...groups.keys()].map((root) => `\`${root}\``).join(', ')}: write them in tests/<name>.test.yaml`,
      2,
    );
  return all;
}

/** The case files of each policies folder, each once. */
function byFolder(paths: readonly string[], fallback: string): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const path of paths) {
    const { root, files } = filesOf(path, fallback);
    groups.set(root, new Set([...(groups.get(root) ?? []), ...files]));
  }
  return groups;
}

function filesOf(
  path: string,
  fallback: string,
): { readonly root: string; readonly files: readonly string[] } {
  if (!existsSync(path)) throw new CliError(`there is no file or folder \`${path}\``, 2);
  if (statSync(path).isDirectory()) {
    const root = basename(path) === 'tests' ? dirname(path) : path;
    return { root, files: casesIn(join(root, 'tests')) };
  }
  if (!caseFile.test(path))
    throw new CliError(`\`${path}\` is no case file: their names end in \`.test.yaml\``, 2);
  return { root: basename(dirname(path)) === 'tests' ? dirname(dirname(path)) : fallback, files: [path] };
}

export function casesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => caseFile.test(name) && !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name));
}

async function testFolder(root: string, files: ReadonlySet<string>): Promise<Tested> {
  const loaded = await loadFolder(root, { cases: 'left' });
  if (loaded.status === 'invalid') {
    const invalid = loaded.errors.map((problem) => ({ ...problem, file: join(root, problem.file ?? '') }));
    return { invalid, results: [], untested: [] };
  }
  const read = [...files].map((file) => casesOf(file, loaded));
  const cases = read.flatMap((file) => file.cases);
  return {
    invalid: read.flatMap((file) => file.problems),
    results: cases.map((testCase) => runCase(testCase, loaded.policySet)),
    untested: untested(cases),
  };
}

interface Read {
  readonly cases: readonly Case[];
  readonly problems: readonly Problem[];
}

export function casesOf(file: string, loaded: LoadedFolder): Read {
  const parsed = parseFile(readFileSync(file), file);
  if (parsed.status === 'invalid') return { cases: [], problems: parsed.problems };
  const read = readCases(parsed.source, loaded);
  return read.status === 'invalid'
    ? { cases: [], problems: read.problems }
    : { cases: read.cases, problems: [] };
}

function testLines({ invalid, results, untested: left }: Tested, passed: number, failed: number): string[] {
  const files = [...new Set(results.map((result) => result.file))];
  return [
    ...invalid.map(
      ({ file = '', line, column, code, message }) => `${file}:${line}:${column}: error ${code}: ${message}`,
    ),
    ...files.flatMap((file) => [
      file,
      ...results
        .filter((result) => result.file === file)
        .flatMap((result) => resultLines(result, file).map((text) => `  ${text}`)),
    ]),
    ...left.map(({ flow, transitions }) => `not tried by any case: ${flow}: ${transitions.join(', ')}`),
    `${passed} passed, ${failed} failed${invalid.length === 0 ? '' : `, ${invalid.length} error${invalid.length === 1 ? '' : 's'} in the files`}`,
  ];
}
