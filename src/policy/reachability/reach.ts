import type { Guard, Mapping, Plan, State, Transition } from '../../engine/plan.js';
import { compare } from '../../engine/expression/compare.js';
import type { Json } from '../../model/json.js';
import { mayLook } from './analysis.js';
import {
  anything,
  comparedTypes,
  comparedWith,
  isPath,
  leaves,
  pathKey,
  representatives,
  writtenDomain,
  type Domain,
  type Value,
} from './domains.js';

// Which values of one key of the context may be there in which state: from where they are written along every way that
// the guards leave open.

const mostSteps = 20_000;

interface Following {
  readonly plan: Plan;
  readonly key: string;
  readonly path: string;
  /** The values of a mapping, as far as the guards tell them apart. */
  readonly valuesOf: (domain: Domain, definite: boolean) => readonly Value[];
}

/** By state; null where there is too much to follow. `definite`: without the nulls that only an answer could bring. */
export function reachingValues(
  plan: Plan,
  key: string,
  definite: boolean,
): ReadonlyMap<string, readonly Value[]> | null {
  const known = reached.get(plan) ?? new Map<string, ReadonlyMap<string, readonly Value[]> | null>();
  reached.set(plan, known);
  const id = `${definite} ${key}`;
  const found = known.get(id);
  if (found !== undefined) return found;
  const made = followKey(plan, key, definite);
  known.set(id, made);
  return made;
}

/** Several states ask the same of a plan. */
const reached = new WeakMap<Plan, Map<string, ReadonlyMap<string, readonly Value[]> | null>>();
const comparisons = new WeakMap<Plan, ReturnType<typeof comparedWith>>();

function followKey(plan: Plan, key: string, definite: boolean): ReadonlyMap<string, readonly Value[]> | null {
  const transitions = plan.states.flatMap((one) => one.transitions);
  if (!mayLook(plan.states.length + transitions.length)) return null;
  const path = JSON.stringify(['context', key]);
  const compares = comparisons.get(plan) ?? comparedWith(transitions.flatMap(guardsOf));
  comparisons.set(plan, compares);
  const compared = compares.get(path) ?? [];
  const initial: Value = Object.hasOwn(plan.initialContext, key) ? plan.initialContext[key] : null;
  const marks = [...(initial === undefined ? [] : [initial]), ...marksOf(plan, key)];
  const all = representatives({ ...anything, marks }, compared);
  if (all === null) return null;
  const types = comparedTypes(compared);
  const valuesOf: Following['valuesOf'] = (domain, sure) =>
    domain === anything
      ? all.filter((one) => (one === null ? !sure : one !== undefined && types.has(typeof one)))
      : all.filter((one) => one !== undefined && domain.admits(one));
  return follow({ plan, key, path, valuesOf }, initial, definite);
}

const guardsOf = (one: Transition): readonly Guard[] => [
  ...one.guards,
  ...one.branches.map((branch) => branch.when),
];

/** What its mappings write for certain, and the bounds of what they may. */
function marksOf(plan: Plan, key: string): readonly Json[] {
  return plan.states.flatMap(({ onEnter, transitions }) => [
    ...(onEnter?.output ?? []).flatMap((one) =>
      one.key === key ? writtenDomain(one, plan, null).marks : [],
    ),
    ...transitions.flatMap(({ output, inputSchema }) =>
      output.flatMap((one) => (one.key === key ? writtenDomain(one, plan, inputSchema).marks : [])),
    ),
  ]);
}

function follow(
  given: Following,
  initial: Value,
  definite: boolean,
): ReadonlyMap<string, readonly Value[]> | null {
  const { plan } = given;
  const states = new Map(plan.states.map((one) => [one.name, one]));
  const seen = new Map<string, Map<string, Value>>();
  const open: { readonly state: State; readonly value: Value }[] = [];
  const enter = (name: string, values: readonly Value[]): void => {
    const state = states.get(name);
    if (state === undefined) return;
    const known = seen.get(name) ?? new Map<string, Value>();
    seen.set(name, known);
    for (const value of overwritten(given, state.onEnter?.output ?? [], null, values, definite)) {
      const id = JSON.stringify(value) ?? 'missing';
      if (known.has(id)) continue;
      known.set(id, value);
      open.push({ state, value });
    }
  };
  enter(plan.initialState, [initial]);
  let steps = 0;
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    const { state, value } = one;
    if (plan.onTimeout !== null && !state.terminal) enter(plan.onTimeout.target, [value]);
    for (const transition of state.transitions) {
      steps += 1;
      if (steps > mostSteps || !mayLook(1 + transition.guards.length)) return null;
      if (transition.onDeny !== null) enter(transition.onDeny, [value]);
      if (!taken(given, state, transition, value)) continue;
      const after = overwritten(given, transition.output, transition.inputSchema, [value], definite);
      for (const target of [transition.target, ...transition.branches.map((each) => each.target)])
        enter(target, after);
    }
  }
  return new Map([...seen].map(([name, values]) => [name, [...values.values()]]));
}

function overwritten(
  { plan, key, valuesOf }: Following,
  mappings: readonly Mapping[],
  schema: Transition['inputSchema'],
  values: readonly Value[],
  definite: boolean,
): readonly Value[] {
  const own = mappings.findLast((one) => one.key === key);
  return own === undefined ? values : valuesOf(writtenDomain(own, plan, schema), definite);
}

/** Could this transition be taken while the key has this value? A default one only where every other can fail. */
function taken(given: Following, state: State, transition: Transition, value: Value): boolean {
  const all = { kind: 'allOf', guards: transition.guards } as const;
  if (transition.guards.length > 0) return possible(all, given, value).pass;
  if (transition.actor !== 'deterministic') return true;
  return state.transitions.every(
    ({ guards }) => guards.length === 0 || possible({ kind: 'allOf', guards }, given, value).fail,
  );
}

interface Possible {
  readonly pass: boolean;
  readonly fail: boolean;
}

function possible(guard: Guard, given: Following, value: Value): Possible {
  if (guard.kind === 'not') {
    const inner = possible(guard.guard, given, value);
    return { pass: inner.fail, fail: inner.pass };
  }
  if (guard.kind === 'allOf' || guard.kind === 'anyOf') {
    const all = guard.guards.map((one) => possible(one, given, value));
    const every = (what: keyof Possible): boolean => all.every((one) => one[what]);
    const some = (what: keyof Possible): boolean => all.some((one) => one[what]);
    return guard.kind === 'allOf'
      ? { pass: every('pass'), fail: some('fail') }
      : { pass: some('pass'), fail: every('fail') };
  }
  return leafPossible(guard, given, value);
}

function leafPossible(leaf: Guard, { path }: Following, value: Value): Possible {
  const open = { pass: true, fail: true };
  if (leaf.kind !== 'expr') return open;
  const { left, right, operator } = leaf.expr;
  const sides = [left, right].map((one): { readonly value: Value } | null =>
    isPath(one) ? (pathKey(one) === path ? { value } : null) : { value: one.value },
  );
  const [a, b] = sides;
  if (!a || !b) return open;
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
