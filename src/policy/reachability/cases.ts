import { compare } from '../../engine/expression/compare.js';
import type { Guard, Operand, Path as PathOperand } from '../../engine/plan.js';
import { takeSteps } from './analysis.js';
import {
  comparisonsByPath,
  isPath,
  leaves,
  pathKey,
  representatives,
  type Domain,
  type Value,
} from './domains.js';

// The verdicts of guards in every case that they can tell apart. A guard whose verdict does not follow from the values that it
// reads is given each verdict that it may have.

export type Verdict = 'pass' | 'fail' | 'error';

/** The value at each path, and the verdict of each guard that does not follow from values. */
export type Case = ReadonlyMap<string, Value>;

interface Variable {
  readonly key: string;
  readonly options: readonly Value[];
}

export interface Variables {
  readonly list: readonly Variable[];
  /** Some guard compares two paths, or counts evidence: its verdict does not follow from the values of a case. */
  readonly loose: boolean;
}

/** A comparison of one path with a literal, with itself, or of two literals. */
function isDecidedByValues(leaf: Guard): boolean {
  if (leaf.kind !== 'expr') return false;
  const { left, right } = leaf.expr;
  return !(isPath(left) && isPath(right) && pathKey(left) !== pathKey(right));
}

const looseKey = (leaf: Guard): string => `loose ${JSON.stringify(leaf)}`;

function looseOptions(leaf: Guard, nobody: boolean): readonly Verdict[] {
  if (leaf.kind === 'permission' || leaf.kind === 'role') return nobody ? ['fail'] : ['pass', 'fail'];
  return leaf.kind === 'evidence' ? ['pass', 'fail'] : ['pass', 'fail', 'error'];
}

/** What the guards read, with the values to look at. Null: too many to be certain. `nobody`: there is no caller, as in a
 * deterministic transition. */
export function variablesOf(
  guards: readonly Guard[],
  domainOf: (path: PathOperand) => Domain,
  nobody = false,
): Variables | null {
  const compared = comparisonsByPath(guards);
  const found = new Map<string, Variable>();
  let loose = false;
  for (const leaf of guards.flatMap(leaves)) {
    if (!isDecidedByValues(leaf)) {
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
  const count = list.reduce((product, variable) => product * variable.options.length, 1);
  if (count > mostCases || !takeSteps(count * (1 + list.length))) return null;
  return list.reduce<readonly Case[]>(
    (all, { key, options }) =>
      all.flatMap((given) => options.map((value) => new Map([...given, [key, value]]))),
    [new Map()],
  );
}

export function verdictOf(guard: Guard, given: Case): Verdict {
  switch (guard.kind) {
    case 'allOf':
      return combineVerdicts(guard.guards, given, 'fail', 'pass');
    case 'anyOf':
      return combineVerdicts(guard.guards, given, 'pass', 'fail');
    case 'not': {
      const inner = verdictOf(guard.guard, given);
      return inner === 'error' ? inner : inner === 'pass' ? 'fail' : 'pass';
    }
    case 'expr':
      if (isDecidedByValues(guard)) {
        const read = (operand: Operand): Value =>
          isPath(operand) ? given.get(pathKey(operand)) : operand.value;
        return compare(read(guard.expr.left), guard.expr.operator, read(guard.expr.right)).verdict;
      }
  }
  return (given.get(looseKey(guard)) as Verdict | undefined) ?? 'error';
}

function combineVerdicts(guards: readonly Guard[], given: Case, decisive: Verdict, other: Verdict): Verdict {
  const all = guards.map((guard) => verdictOf(guard, given));
  return all.includes(decisive) ? decisive : all.includes('error') ? 'error' : other;
}

/** `pass`, or the verdict of the first guard, in declaration order, that does not pass. */
export function verdictOfAll(guards: readonly Guard[], given: Case): Verdict {
  return guards.map((guard) => verdictOf(guard, given)).find((verdict) => verdict !== 'pass') ?? 'pass';
}
