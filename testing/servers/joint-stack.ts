import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, basename, join } from 'node:path';
import { after } from 'node:test';
import { parse } from 'yaml';
import { startStack, type Stack, type StackOptions } from './stack.js';

interface Part {
  /** A folder, or its files as `{path: text}`. */
  readonly policies: string | Readonly<Record<string, string>>;
  readonly env?: StackOptions['env'];
  readonly principals?: StackOptions['principals'];
}

const parts: (() => Promise<Part>)[] = [];
let started: Promise<Stack> | null = null;

/**
 * Joins the policies of all test files that call it into one stack. These files run in one process, one after the other; each
 * touches only its own runs, and leaves the stack as it found it (`scripts/test-plan.mjs`). A file calls it while it is loaded.
 * The function that it gets starts the stack, or gives the stack that is started; the stack ends with the process. Names of flows
 * and tools must be the file's own. What two files declare under one name in roles.yaml, connections.yaml or environments.yaml
 * must be the same.
 */
export function joinStack(part: () => Part | Promise<Part>): () => Promise<Stack> {
  assert.equal(started, null, 'a stack is joined while its file is loaded');
  parts.push(async () => part());
  return () => (started ??= start());
}

async function start(): Promise<Stack> {
  const all = await Promise.all(parts.map((part) => part()));
  const stack = await startStack({
    policies: joinPolicies(all.map(({ policies }) => filesOf(policies))),
    env: joinMaps(all.map(({ env = {} }) => env)) as Record<string, string>,
    principals: joinMaps(all.map(({ principals = {} }) => principals)) as Record<string, object>,
  });
  stop = () => stack.stop();
  return { ...stack, stop: () => Promise.resolve() };
}

let stop = (): Promise<void> => Promise.resolve();
after(() => stop());

function filesOf(policies: Part['policies']): Readonly<Record<string, string>> {
  if (typeof policies !== 'string') return policies;
  const paths = readdirSync(policies, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\.(yaml|json)$/.test(path),
  );
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(policies, path), 'utf8')]));
}

/** Files in folders are put beside one another. Files of the root, such as roles.yaml, are merged section by section. */
function joinPolicies(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const files: Record<string, string> = {};
  const sections: Record<string, Record<string, unknown>[]> = {};
  for (const [index, policies] of all.entries())
    for (const [path, text] of Object.entries(policies)) {
      if (dirname(path) === '.') (sections[path] ??= []).push(parse(text) as Record<string, unknown>);
      else if (!all.slice(0, index).some((other) => other[path] === text))
        files[join(dirname(path), `${index}-${basename(path)}`)] = text;
    }
  for (const [path, contents] of Object.entries(sections)) {
    const names = new Set(
      contents.flatMap((content) => Object.keys(content)).filter((name) => name !== 'version'),
    );
    const whole = [...names].map((name) => [name, joinMaps(contents.map((content) => content[name] ?? {}))]);
    files[path] = JSON.stringify(Object.fromEntries(whole));
  }
  return files;
}

function joinMaps(maps: readonly unknown[]): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const map of maps as readonly Readonly<Record<string, unknown>>[])
    for (const [name, value] of Object.entries(map)) {
      if (name in whole) assert.deepEqual(value, whole[name], `\`${name}\` of two test files`);
      whole[name] = value;
    }
  return whole;
}
