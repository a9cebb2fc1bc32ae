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
 * One stack with the policies of all test files that ask for one: they run in one process, one after the other, touch only their
 * own runs, and leave the stack as they have found it (`scripts/test-plan.mjs`). Asked when the file is loaded; what it gives
 * starts the stack, which ends with the process. Names of flows and tools are the file's own; what two files declare under one
 * name in roles.yaml, connections.yaml or environments.yaml is the same.
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

/** Those of folders stand beside one another; of what there is one file, each section is put together. */
function joinPolicies(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const files: Record<string, string> = {};
  const sections: Record<string, Record<string, unknown>[]> = {};
  for (const [index, policies] of all.entries())
    for (const [path, text] of Object.entries(policies)) {
      if (dirname(path) === '.') (sections[path] ??= []).push(parse(text) as Record<string, unknown>);
      else if (!all.slice(0, index).some((other) => other[path] === text))
        files[join(dirname(path), `${index}-${basename(path)}`)] = text;
    }
  for (const [path, each] of Object.entries(sections)) {
    const names = new Set(each.flatMap((one) => Object.keys(one)).filter((name) => name !== 'version'));
    const whole = [...names].map((name) => [name, joinMaps(each.map((one) => one[name] ?? {}))]);
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
