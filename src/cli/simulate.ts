import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import { loadFolder, type LoadedFolder } from '../policy/index.js';
import { nearest } from '../policy/text/problems.js';
import { fit } from '../policy/shape/check.js';
import { principalsShape, testsShape, type PrincipalShape } from '../policy/shape/tests.js';
import { parseFile } from '../policy/text/bytes.js';
import { parseText, type Source } from '../policy/text/source.js';
import { plainPrincipals, principalsOf, readPrincipal, simulate, stopLines } from '../simulation/index.js';
import { readJsonOption } from './json-option.js';
import type { Command } from './options.js';
import { CliError, policiesOf } from './rest.js';
import { casesIn } from './test.js';

/** `npx countersign simulate`: walks a flow on paper, and says what everybody could do after each step. */
export const simulateCommand: Command = {
  takes: ['flow'],
  options: ['input', 'as', 'do'],
  what: 'walk a flow on paper: after each --do, what each --as could do next',
  run: async ({ args: [name = ''], values, terminal }) => {
    const folder = policiesOf(terminal.env);
    const loaded = await load(folder);
    const flow = loaded.flows.find((candidate) => candidate.name === name);
    if (flow === undefined)
      throw unknownName(
        'flow',
        name,
        loaded.flows.map((candidate) => candidate.name),
      );
    const principals = principalsNamed(values.as ?? [], folder, name, loaded);
    const [first] = principals.values();
    const walked = simulate({
      flow,
      policies: loaded,
      input: objectFrom('input', values.input ?? '{}'),
      startedBy: first ?? { id: 'system', kind: 'system', roles: [], permissions: [] },
      principals,
      steps: values.do ?? [],
    });
    const trouble = walked.status === 'invalid' ? [walked.message] : [];
    return {
      json: {
        flow: name,
        stops: walked.stops,
        ...(walked.status === 'invalid' ? { error: walked.message } : {}),
      },
      lines: [...walked.stops.flatMap((stop) => [...stopLines(stop), '']), ...trouble],
      exitCode: walked.status === 'invalid' ? 2 : 0,
    };
  },
};

async function load(folder: string): Promise<LoadedFolder> {
  const loaded = await loadFolder(folder);
  if (loaded.status === 'loaded') return loaded;
  const [first] = loaded.errors;
  throw new CliError(
    `the policies in \`${folder}\` have errors, the first: ${first?.message ?? ''}; run \`npx countersign check ${folder}\``,
    2,
  );
}

function unknownName(what: string, name: string, names: readonly string[]): CliError {
  const hint = nearest(name, names);
  const list = names.map((known) => `\`${known}\``).join(', ');
  return new CliError(
    `unknown ${what} \`${name}\`: ${hint === undefined ? `there are ${list}` : `did you mean \`${hint}\`?`}`,
    2,
  );
}

/** Principals by name. Each --as is `kind:id,…`, `@file` for all principals of a file, or a name from the flow's case files. */
function principalsNamed(
  given: readonly string[],
  folder: string,
  flow: string,
  loaded: LoadedFolder,
): ReadonlyMap<string, Principal> {
  if (given.length === 0) return plainPrincipals;
  const known = given.some((argument) => /^[^:@]+$/.test(argument))
    ? principalsOfCases(folder, flow, loaded)
    : new Map<string, Principal>();
  const all = new Map<string, Principal>();
  for (const argument of given) {
    for (const [name, principal] of principalsFor(argument, known, loaded)) {
      if (all.has(name)) throw new CliError(`--as names \`${name}\` twice`, 2);
      all.set(name, principal);
    }
  }
  return all;
}

function principalsFor(
  argument: string,
  known: ReadonlyMap<string, Principal>,
  loaded: LoadedFolder,
): readonly (readonly [string, Principal])[] {
  if (argument.startsWith('@')) return [...principalsDeclaredIn(sourceOf(argument.slice(1)), loaded)];
  if (!argument.includes(':')) {
    const principal = known.get(argument) ?? plainPrincipals.get(argument);
    if (principal !== undefined) return [[argument, principal]];
    throw unknownName('principal', argument, [...known.keys(), ...plainPrincipals.keys()]);
  }
  const read = readPrincipal(argument, loaded.policySet);
  if (read.status === 'invalid') throw new CliError(`--as ${read.message}`, 2);
  return [[read.name, read.principal]];
}

/** The principals of the folder's case files that are about this flow. */
function principalsOfCases(folder: string, flow: string, loaded: LoadedFolder): Map<string, Principal> {
  const all = new Map<string, Principal>();
  for (const file of casesIn(join(folder, 'tests'))) {
    const source = sourceOf(file);
    if (!isObject(source.value) || source.value['flow'] !== flow) continue;
    for (const [name, principal] of principalsDeclaredIn(source, loaded)) all.set(name, principal);
  }
  return all;
}

/** The `principals` of a case file; any other file is such a mapping as a whole. */
function principalsDeclaredIn(source: Source, { policySet }: LoadedFolder): ReadonlyMap<string, Principal> {
  const cases = isObject(source.value) && Object.hasOwn(source.value, 'cases');
  const shaped = cases
    ? fit(source, source.value, testsShape, [])
    : fit<Record<string, PrincipalShape>>(source, source.value, principalsShape, []);
  if (shaped.status === 'invalid') {
    const [first] = shaped.problems;
    throw new CliError(
      `${source.file ?? ''}:${first?.line ?? 1}:${first?.column ?? 1}: ${first?.message ?? 'is not valid'}`,
      2,
    );
  }
  const principals = cases
    ? (shaped.value as { principals?: Record<string, PrincipalShape> }).principals
    : shaped.value;
  return principalsOf((principals ?? {}) as Record<string, PrincipalShape>, policySet);
}

function sourceOf(file: string): Source {
  if (!existsSync(file)) throw new CliError(`there is no file \`${file}\``, 2);
  const parsed = parseFile(readFileSync(file), file);
  if (parsed.status === 'parsed') return parsed.source;
  const [first] = parsed.problems;
  throw new CliError(
    `${file}:${first?.line ?? 1}:${first?.column ?? 1}: ${first?.message ?? 'is not valid'}`,
    2,
  );
}

/** The object of an option: JSON, or `@file`, which may be YAML. */
function objectFrom(option: string, given: string): JsonObject {
  const source = given.startsWith('@') ? sourceOf(given.slice(1)) : parseTyped(option, given);
  if (isObject(source.value)) return source.value;
  throw new CliError(`--${option} must be a JSON object, not \`${given}\``, 2);
}

function parseTyped(option: string, given: string): Source {
  const parsed = parseText(readJsonOption(option, given), undefined, 'json');
  if (parsed.status === 'parsed') return parsed.source;
  throw new CliError(`--${option}: ${parsed.problems[0]?.message ?? ''}`, 2);
}
