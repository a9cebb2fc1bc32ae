import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject } from '../model/json.js';
import type { Principal } from '../model/principal.js';
import { loadFolder, type LoadedFolder } from '../policy/index.js';
import { nearest } from '../policy/text/problems.js';
import { fit } from '../policy/shape/check.js';
import { principalsShape, testsShape, type PrincipalShape } from '../policy/shape/tests.js';
import { parseText, type Source } from '../policy/text/source.js';
import { plainPrincipals, principalsOf, readPrincipal, simulate, stopLines } from '../simulation/index.js';
import type { Command } from './options.js';
import { CliError, policiesOf } from './rest.js';
import { casesIn } from './test.js';

/** `npx countersign simulate`: a flow walked on paper, and what everybody could do after each step. */
export const simulateCommand: Command = {
  takes: ['flow'],
  options: ['input', 'as', 'do'],
  what: 'walk a flow on paper: what could --as A, --as B … do after each --do?',
  run: async ({ args: [name = ''], values, terminal }) => {
    const folder = policiesOf(terminal.env);
    const loaded = await load(folder);
    const flow = loaded.flows.find((one) => one.name === name);
    if (flow === undefined)
      throw unknown(
        'flow',
        name,
        loaded.flows.map((one) => one.name),
      );
    const principals = named(values.as ?? [], folder, name, loaded);
    const [first] = principals.values();
    const walked = simulate({
      flow,
      policies: loaded,
      input: jsonGiven('input', values.input ?? '{}'),
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
      lines: [...walked.stops.flatMap((one) => [...stopLines(one), '']), ...trouble],
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

function unknown(what: string, name: string, names: readonly string[]): CliError {
  const hint = nearest(name, names);
  const list = names.map((one) => `\`${one}\``).join(', ');
  return new CliError(
    `unknown ${what} \`${name}\`: ${hint === undefined ? `it is one of ${list}` : `did you mean \`${hint}\`?`}`,
    2,
  );
}

/** `kind:id,…` as it stands, `@file` for all of a file, a bare name for one of the flow's case files. */
function named(
  given: readonly string[],
  folder: string,
  flow: string,
  loaded: LoadedFolder,
): ReadonlyMap<string, Principal> {
  if (given.length === 0) return plainPrincipals;
  const known = given.some((one) => /^[^:@]+$/.test(one))
    ? ofCases(folder, flow, loaded)
    : new Map<string, Principal>();
  const all = new Map<string, Principal>();
  for (const one of given) {
    for (const [name, principal] of resolved(one, known, loaded)) {
      if (all.has(name)) throw new CliError(`--as names \`${name}\` twice`, 2);
      all.set(name, principal);
    }
  }
  return all;
}

function resolved(
  one: string,
  known: ReadonlyMap<string, Principal>,
  loaded: LoadedFolder,
): readonly (readonly [string, Principal])[] {
  if (one.startsWith('@')) return [...declared(sourceOf(one.slice(1)), loaded)];
  if (!one.includes(':')) {
    const principal = known.get(one) ?? plainPrincipals.get(one);
    if (principal !== undefined) return [[one, principal]];
    throw unknown('principal', one, [...known.keys(), ...plainPrincipals.keys()]);
  }
  const read = readPrincipal(one, loaded.policySet);
  if (read.status === 'invalid') throw new CliError(`--as ${read.message}`, 2);
  return [[read.name, read.principal]];
}

/** The principals of the folder's case files that are about this flow. */
function ofCases(folder: string, flow: string, loaded: LoadedFolder): Map<string, Principal> {
  const all = new Map<string, Principal>();
  for (const file of casesIn(join(folder, 'tests'))) {
    const source = sourceOf(file);
    if (!isObject(source.value) || source.value['flow'] !== flow) continue;
    for (const [name, principal] of declared(source, loaded)) all.set(name, principal);
  }
  return all;
}

/** Of a case file its `principals`; else the whole file is such a mapping. */
function declared(source: Source, { policySet }: LoadedFolder): ReadonlyMap<string, Principal> {
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
  const parsed = parseText(readFileSync(file, 'utf8'), file, /\.json$/i.test(file) ? 'json' : 'yaml');
  if (parsed.status === 'parsed') return parsed.source;
  const [first] = parsed.problems;
  throw new CliError(
    `${file}:${first?.line ?? 1}:${first?.column ?? 1}: ${first?.message ?? 'is not valid'}`,
    2,
  );
}

/** JSON as it is typed, or `@file`. */
function jsonGiven(option: string, given: string): JsonObject {
  const source = given.startsWith('@') ? sourceOf(given.slice(1)) : typed(option, given);
  if (isObject(source.value)) return source.value;
  throw new CliError(`--${option} must be a JSON object, it is \`${given}\``, 2);
}

function typed(option: string, given: string): Source {
  const parsed = parseText(given, undefined, 'json');
  if (parsed.status === 'parsed') return parsed.source;
  throw new CliError(
    `--${option} is not JSON: ${(parsed.problems[0]?.message ?? '').replace(/^not JSON: /, '')}`,
    2,
  );
}
