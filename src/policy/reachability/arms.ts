import type { Guard, Path as PathOperand, Plan, State, Transition } from '../../engine/plan.js';
import { mayLook } from './analysis.js';
import { casesOf, variablesOf, verdictOfAll, type Case } from './cases.js';
import { warn, type Compiling, type Path } from '../compile/context.js';
import {
  comparedTypes,
  comparedWith,
  oneOf,
  pathKey,
  representatives,
  schemaDomain,
  type Compared,
  type Domain,
  type Value,
} from './domains.js';
import { contextKeys, reachingValues } from './reach.js';

// States that only the runtime leaves: does exactly one way out apply, whatever the context is?

export function checkArms(to: Compiling, plan: Plan, path: Path): void {
  for (const state of plan.states) {
    const { transitions } = state;
    if (transitions.length === 0 || transitions.some((one) => one.actor !== 'deterministic')) continue;
    const at = [...path, 'states', state.name, 'transitions'];
    const [first, second] = transitions.filter((one) => one.guards.length === 0);
    if (first !== undefined && second !== undefined)
      warn(
        to,
        'DETERMINISTIC_OVERLAP',
        [...at, second.name],
        `\`${first.name}\` and \`${second.name}\` have no guard: a run for which no other applies is stuck`,
      );
    else checkHole(to, plan, state, at);
    checkOverlap(to, plan, state, at);
  }
}

const guarded = (state: State): readonly Transition[] =>
  state.transitions.filter((one) => one.guards.length > 0);

/** With a default, what no guard takes is taken: what no guard can even be asked about is not. */
function checkHole(to: Compiling, plan: Plan, state: State, at: Path): void {
  const arms = guarded(state);
  if (arms.length === 0) return;
  const byDefault = arms.length < state.transitions.length;
  const cases = casesAt(plan, state, byDefault) ?? [];
  if (!mayLook(cases.length * arms.length)) return;
  const found = cases.find((one) => {
    const verdicts = arms.map((arm) => verdictOfAll(arm.guards, one));
    return !verdicts.includes('pass') && (!byDefault || verdicts.includes('error'));
  });
  if (found === undefined) return;
  const when = shown(arms, found);
  warn(
    to,
    'DETERMINISTIC_HOLE',
    at,
    byDefault
      ? `a guard of state \`${state.name}\` cannot be evaluated ${when}, and then the default does not apply: a run is stuck`
      : `no transition of state \`${state.name}\` applies ${when}: a run is stuck`,
  );
}

function checkOverlap(to: Compiling, plan: Plan, state: State, at: Path): void {
  const arms = guarded(state);
  const cases = casesAt(plan, state, false) ?? [];
  const guards = arms.reduce((sum, arm) => sum + arm.guards.length, 0);
  const told = mayLook(cases.length * guards) ? cases : [];
  const firstOfCase = new Map<Case, number>();
  const firstOfText = new Map<string, number>();
  for (const [index, arm] of arms.entries()) {
    const text = JSON.stringify(arm.guards);
    const passing = told.filter((one) => verdictOfAll(arm.guards, one) === 'pass');
    const shared = passing.filter((one) => firstOfCase.has(one));
    const same = firstOfText.get(text);
    const earliest = Math.min(same ?? Infinity, ...shared.map((one) => firstOfCase.get(one) ?? Infinity));
    const other = arms[earliest];
    if (other !== undefined) {
      const found = shared.find((one) => firstOfCase.get(one) === earliest) ?? new Map<string, Value>();
      warn(
        to,
        'DETERMINISTIC_OVERLAP',
        [...at, arm.name],
        `\`${arm.name}\` and \`${other.name}\` both apply ${shown(arms, found)}: a run is stuck`,
      );
    }
    for (const one of passing) if (!firstOfCase.has(one)) firstOfCase.set(one, index);
    if (same === undefined) firstOfText.set(text, index);
  }
}

/** Null: what the guards say is not told by values alone, so nothing is certain. */
function casesAt(plan: Plan, state: State, definite: boolean): readonly Case[] | null {
  const guards = guarded(state).flatMap((one) => one.guards);
  const compared = comparedWith(guards);
  const reaching = new Map(
    contextKeys(guards).map((key) => [key, reachingValues(plan, key, definite)?.get(state.name) ?? null]),
  );
  if ([...reaching.values()].includes(null)) return null;
  const variables = variablesOf(
    guards,
    (path) => domainAt(plan, path, reaching, compared.get(pathKey(path)) ?? [], definite),
    true,
  );
  if (variables === null || variables.loose) return null;
  return casesOf(variables);
}

function domainAt(
  plan: Plan,
  path: PathOperand,
  reaching: ReadonlyMap<string, readonly Value[] | null>,
  compared: readonly Compared[],
  definite: boolean,
): Domain {
  const { scope, segments } = path;
  const [key = ''] = segments;
  if (scope === 'context' && segments.length === 1) return oneOf(reaching.get(key) ?? []);
  if (scope === 'input') return schemaDomain(plan.inputSchema, segments);
  // Deeper than what mappings tell: of the types that it is compared with, or nothing.
  const types = comparedTypes(compared);
  const all = representatives({ admits: () => true, marks: [] }, compared) ?? [];
  return oneOf(all.filter((one) => (one === null ? !definite : one !== undefined && types.has(typeof one))));
}

function shown(arms: readonly Transition[], found: Case): string {
  const paths = pathsIn(arms.flatMap((one) => one.guards));
  const texts = [...paths].flatMap(([key, text]) =>
    found.has(key) ? [`\`${text}\` is \`${valueText(found.get(key))}\``] : [],
  );
  return texts.length === 0 ? 'at once' : `when ${texts.join(' and ')}`;
}

function valueText(value: Value): string {
  return value === undefined ? 'missing' : JSON.stringify(value).replaceAll('\u{10fffd}', '…');
}

function pathsIn(guards: readonly Guard[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (guard: Guard): void => {
    if (guard.kind === 'allOf' || guard.kind === 'anyOf') guard.guards.forEach(visit);
    else if (guard.kind === 'not') visit(guard.guard);
    else if (guard.kind === 'expr')
      for (const one of [guard.expr.left, guard.expr.right])
        if (one.kind === 'path') found.set(pathKey(one), one.text);
  };
  guards.forEach(visit);
  return found;
}
