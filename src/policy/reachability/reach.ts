import type { Guard, Mapping, Plan, State, Transition } from '../../engine/plan.js';
import { compare } from '../../engine/expression/compare.js';
import type { Json } from '../../model/values/json.js';
import { takeSteps } from './analysis.js';
import {
  anything,
  comparedTypes,
  comparisonsByPath,
  isPath,
  leaves,
  pathKey,
  representatives,
  writtenDomain,
  type Domain,
  type Value,
} from './domains.js';

// Which values a key of the context may have in each state: the values that are written, followed along every transition
// that guards do not rule out.

const mostSteps = 20_000;

interface Following {
  readonly plan: Plan;
  readonly key: string;
  readonly path: string;
  /** The values that a mapping may write, as far as guards tell them apart. `definite`: see `reachingValues`. */
  readonly valuesOf: (domain: Domain, definite: boolean) => readonly Value[];
}

/**
 * The values of a context key, by state; null where there is too much to follow. `definite`: without a null that only the
 * answer of an executor could bring.
 */
export function reachingValues(
  plan: Plan,
  key: string,
  definite: boolean,
): ReadonlyMap<string, readonly Value[]> | null {
  const ofPlan = valuesByPlan.get(plan) ?? new Map<string, ReadonlyMap<string, readonly Value[]> | null>();
  valuesByPlan.set(plan, ofPlan);
  const id = `${definite} ${key}`;
  const found = ofPlan.get(id);
  if (found !== undefined) return found;
  const followed = followKey(plan, key, definite);
  ofPlan.set(id, followed);
  return followed;
}

/** Several states of a plan ask for the same values. */
const valuesByPlan = new WeakMap<Plan, Map<string, ReadonlyMap<string, readonly Value[]> | null>>();
const comparisonsByPlan = new WeakMap<Plan, ReturnType<typeof comparisonsByPath>>();

function followKey(plan: Plan, key: string, definite: boolean): ReadonlyMap<string, readonly Value[]> | null {
  const transitions = plan.states.flatMap((state) => state.transitions);
  if (!takeSteps(plan.states.length + transitions.length)) return null;
  const path = JSON.stringify(['context', key]);
  const compares = comparisonsByPlan.get(plan) ?? comparisonsByPath(transitions.flatMap(guardsOf));
  comparisonsByPlan.set(plan, compares);
  const compared = compares.get(path) ?? [];
  const initial: Value = Object.hasOwn(plan.initialContext, key) ? plan.initialContext[key] : null;
  const marks = [...(initial === undefined ? [] : [initial]), ...marksOf(plan, key)];
  const all = representatives({ ...anything, marks }, compared);
  if (all === null) return null;
  const types = comparedTypes(compared);
  const valuesOf: Following['valuesOf'] = (domain, definitely) =>
    domain === anything
      ? all.filter((value) => (value === null ? !definitely : value !== undefined && types.has(typeof value)))
      : all.filter((value) => value !== undefined && domain.admits(value));
  return follow({ plan, key, path, valuesOf }, initial, definite);
}

const guardsOf = (transition: Transition): readonly Guard[] => [
  ...transition.guards,
  ...transition.branches.map((branch) => branch.when),
];

/** The literals that mappings write into the key, and the bounds of other values that they may write. */
function marksOf(plan: Plan, key: string): readonly Json[] {
  return plan.states.flatMap(({ onEnter, transitions }) => [
    ...(onEnter?.output ?? []).flatMap((mapping) =>
      mapping.key === key ? writtenDomain(mapping, plan, null).marks : [],
    ),
    ...transitions.flatMap(({ output, inputSchema }) =>
      output.flatMap((mapping) =>
        mapping.key === key ? writtenDomain(mapping, plan, inputSchema).marks : [],
      ),
    ),
  ]);
}

function follow(
  following: Following,
  initial: Value,
  definite: boolean,
): ReadonlyMap<string, readonly Value[]> | null {
  const { plan } = following;
  const states = new Map(plan.states.map((state) => [state.name, state]));
  const seen = new Map<string, Map<string, Value>>();
  const pending: { readonly state: State; readonly value: Value }[] = [];
  const enter = (name: string, values: readonly Value[]): void => {
    const state = states.get(name);
    if (state === undefined) return;
    const valuesHere = seen.get(name) ?? new Map<string, Value>();
    seen.set(name, valuesHere);
    for (const value of valuesAfter(following, state.onEnter?.output ?? [], null, values, definite)) {
      const id = JSON.stringify(value) ?? 'missing';
      if (valuesHere.has(id)) continue;
      valuesHere.set(id, value);
      pending.push({ state, value });
    }
  };
  enter(plan.initialState, [initial]);
  let steps = 0;
  for (let reachedValue = pending.pop(); reachedValue !== undefined; reachedValue = pending.pop()) {
    const { state, value } = reachedValue;
    if (plan.onTimeout !== null && !state.terminal) enter(plan.onTimeout.target, [value]);
    for (const transition of state.transitions) {
      steps += 1;
      if (steps > mostSteps || !takeSteps(1 + transition.guards.length)) return null;
      if (transition.onDeny !== null) enter(transition.onDeny, [value]);
      if (!mayBeTaken(following, state, transition, value)) continue;
      const after = valuesAfter(following, transition.output, transition.inputSchema, [value], definite);
      for (const target of [transition.target, ...transition.branches.map((branch) => branch.target)])
        enter(target, after);
    }
  }
  return new Map([...seen].map(([name, values]) => [name, [...values.values()]]));
}

function valuesAfter(
  { plan, key, valuesOf }: Following,
  mappings: readonly Mapping[],
  schema: Transition['inputSchema'],
  values: readonly Value[],
  definite: boolean,
): readonly Value[] {
  const last = mappings.findLast((mapping) => mapping.key === key);
  return last === undefined ? values : valuesOf(writtenDomain(last, plan, schema), definite);
}

/** A default transition may be taken only where the guards of every other may fail. */
function mayBeTaken(following: Following, state: State, transition: Transition, value: Value): boolean {
  const all = { kind: 'allOf', guards: transition.guards } as const;
  if (transition.guards.length > 0) return possibleVerdicts(all, following, value).pass;
  if (transition.actor !== 'deterministic') return true;
  return state.transitions.every(
    ({ guards }) => guards.length === 0 || possibleVerdicts({ kind: 'allOf', guards }, following, value).fail,
  );
}

interface Possible {
  readonly pass: boolean;
  readonly fail: boolean;
}

function possibleVerdicts(guard: Guard, following: Following, value: Value): Possible {
  if (guard.kind === 'not') {
    const inner = possibleVerdicts(guard.guard, following, value);
    return { pass: inner.fail, fail: inner.pass };
  }
  if (guard.kind === 'allOf' || guard.kind === 'anyOf') {
    const all = guard.guards.map((inner) => possibleVerdicts(inner, following, value));
    const every = (verdict: keyof Possible): boolean => all.every((each) => each[verdict]);
    const some = (verdict: keyof Possible): boolean => all.some((each) => each[verdict]);
    return guard.kind === 'allOf'
      ? { pass: every('pass'), fail: some('fail') }
      : { pass: some('pass'), fail: every('fail') };
  }
  return possibleVerdictsOfLeaf(guard, following, value);
}

function possibleVerdictsOfLeaf(leaf: Guard, { path }: Following, value: Value): Possible {
  const either = { pass: true, fail: true };
  if (leaf.kind !== 'expr') return either;
  const { left, right, operator } = leaf.expr;
  const sides = [left, right].map((operand): { readonly value: Value } | null =>
    isPath(operand) ? (pathKey(operand) === path ? { value } : null) : { value: operand.value },
  );
  const [a, b] = sides;
  if (!a || !b) return either;
  const { verdict } = compare(a.value, operator, b.value);
  return { pass: verdict === 'pass', fail: verdict === 'fail' };
}

/** The keys of the context that these guards read as a whole. */
export function contextKeys(guards: readonly Guard[]): readonly string[] {
  const paths = guards
    .flatMap(leaves)
    .flatMap((leaf) => (leaf.kind === 'expr' ? [leaf.expr.left, leaf.expr.right].filter(isPath) : []));
  return [
    ...new Set(
      paths.flatMap(({ scope, segments }) => (scope === 'context' && segments.length === 1 ? segments : [])),
    ),
  ];
}
