import { compare } from '../../engine/expression/compare.js';
import type { Guard, Operand, Path as PathOperand } from '../../engine/plan.js';
import { mayLook } from './analysis.js';
import {
  comparedWith,
  isPath,
  leaves,
  pathKey,
  representatives,
  type Domain,
  type Value,
} from './domains.js';

// Guards over every case that they can tell apart. What is not told by a value is any of its verdicts.

export type Verdict = 'pass' | 'fail' | 'error';

/** What a path stands for, or what a guard that reads no value says. */
export type Case = ReadonlyMap<string, Value>;

interface Variable {
  readonly key: string;
  readonly options: readonly Value[];
}

export interface Variables {
  readonly list: readonly Variable[];
  /** Some guard compares two paths, or counts evidence: its verdicts are not bound to the values. */
  readonly loose: boolean;
}

/** A comparison of one path with a literal, with itself, or of two literals. */
function isTold(leaf: Guard): boolean {
  if (leaf.kind !== 'expr') return false;
  const { left, right } = leaf.expr;
  return !(isPath(left) && isPath(right) && pathKey(left) !== pathKey(right));
}

const looseKey = (leaf: Guard): string => `loose ${JSON.stringify(leaf)}`;

function looseOptions(leaf: Guard, nobody: boolean): readonly Verdict[] {
  if (leaf.kind === 'permission' || leaf.kind === 'role') return nobody ? ['fail'] : ['pass', 'fail'];
  return leaf.kind === 'evidence' ? ['pass', 'fail'] : ['pass', 'fail', 'error'];
}

/** `nobody`: no caller, as in a deterministic transition. Null: too many values to be certain. */
export function variablesOf(
  guards: readonly Guard[],
  domainOf: (path: PathOperand) => Domain,
  nobody = false,
): Variables | null {
  const compared = comparedWith(guards);
  const found = new Map<string, Variable>();
  let loose = false;
  for (const leaf of guards.flatMap(leaves)) {
    if (!isTold(leaf)) {
      const key = looseKey(leaf);
      loose ||= leaf.kind === 'expr' || leaf.kind === 'evidence';
      found.set(key, { key, options: looseOptions(leaf, nobody) });
    } else if (leaf.kind === 'expr')
      for (const path of [leaf.expr.left, leaf.expr.right].filter(isPath)) {
        const key = pathKey(path);
        if (found.has(key)) continue;
        const options = representatives(domainOf(path), compared.get(key) ?? []);
        if (options === null) return null;
        found.set(key, { key, options });
      }
  }
  return { list: [...found.values()], loose };
}

const mostCases = 4_096;

/** Every combination; null where there are too many. */
export function casesOf({ list }: Variables): readonly Case[] | null {
  const count = list.reduce((product, one) => product * one.options.length, 1);
  if (count > mostCases || !mayLook(count * (1 + list.length))) return null;
  return list.reduce<readonly Case[]>(
    (all, { key, options }) => all.flatMap((one) => options.map((value) => new Map([...one, [key, value]]))),
    [new Map()],
  );
}

export function verdictOf(guard: Guard, given: Case): Verdict {
  switch (guard.kind) {
    case 'allOf':
      return combined(guard.guards, given, 'fail', 'pass');
    case 'anyOf':
      return combined(guard.guards, given, 'pass', 'fail');
    case 'not': {
      const inner = verdictOf(guard.guard, given);
      return inner === 'error' ? inner : inner === 'pass' ? 'fail' : 'pass';
    }
    case 'expr':
      if (isTold(guard)) {
        const read = (one: Operand): Value => (isPath(one) ? given.get(pathKey(one)) : one.value);
        return compare(read(guard.expr.left), guard.expr.operator, read(guard.expr.right)).verdict;
      }
  }
  return (given.get(looseKey(guard)) as Verdict | undefined) ?? 'error';
}

function combined(guards: readonly Guard[], given: Case, decisive: Verdict, other: Verdict): Verdict {
  const all = guards.map((one) => verdictOf(one, given));
  return all.includes(decisive) ? decisive : all.includes('error') ? 'error' : other;
}

/** In declaration order: the first that does not pass decides. */
export function verdictOfAll(guards: readonly Guard[], given: Case): Verdict {
  return guards.map((one) => verdictOf(one, given)).find((one) => one !== 'pass') ?? 'pass';
}
