import type { Guard, Path as PathOperand, Plan, State, Transition } from '../../engine/plan.js';
import { takeSteps } from './analysis.js';
import { casesOf, variablesOf, verdictOfAll, type Case } from './cases.js';
import { warn, type Compiling, type Path } from '../compile/context.js';
import {
  comparedTypes,
  comparisonsByPath,
  oneOf,
  pathKey,
  representatives,
  schemaDomain,
  type Compared,
  type Domain,
  type Value,
} from './domains.js';
import { contextKeys, reachingValues } from './reach.js';

// States that only the runtime leaves: whatever the context is, exactly one transition should apply. An arm is a transition
// with guards; the transition without guards is the default.

export function checkArms(to: Compiling, plan: Plan, path: Path): void {
  for (const state of plan.states) {
    const { transitions } = state;
    if (transitions.length === 0 || transitions.some((transition) => transition.actor !== 'deterministic'))
      continue;
    const at = [...path, 'states', state.name, 'transitions'];
    const [first, second] = transitions.filter((transition) => transition.guards.length === 0);
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

const guardedTransitions = (state: State): readonly Transition[] =>
  state.transitions.filter((transition) => transition.guards.length > 0);

/** A default takes what no arm takes, but not where a guard cannot be evaluated: then nothing applies. */
function checkHole(to: Compiling, plan: Plan, state: State, at: Path): void {
  const arms = guardedTransitions(state);
  if (arms.length === 0) return;
  const hasDefault = arms.length < state.transitions.length;
  const cases = casesAt(plan, state, hasDefault) ?? [];
  if (!takeSteps(cases.length * arms.length)) return;
  const found = cases.find((given) => {
    const verdicts = arms.map((arm) => verdictOfAll(arm.guards, given));
    return !verdicts.includes('pass') && (!hasDefault || verdicts.includes('error'));
  });
  if (found === undefined) return;
  const when = describeCase(arms, found);
  warn(
    to,
    'DETERMINISTIC_HOLE',
    at,
    hasDefault
      ? `a guard of state \`${state.name}\` cannot be evaluated ${when}, and then the default does not apply: a run is stuck`
      : `no transition of state \`${state.name}\` applies ${when}: a run is stuck`,
  );
}

function checkOverlap(to: Compiling, plan: Plan, state: State, at: Path): void {
  const arms = guardedTransitions(state);
  const cases = casesAt(plan, state, false) ?? [];
  const guards = arms.reduce((sum, arm) => sum + arm.guards.length, 0);
  const judged = takeSteps(cases.length * guards) ? cases : [];
  const firstOfCase = new Map<Case, number>();
  const firstOfText = new Map<string, number>();
  for (const [index, arm] of arms.entries()) {
    const text = JSON.stringify(arm.guards);
    const passing = judged.filter((given) => verdictOfAll(arm.guards, given) === 'pass');
    const shared = passing.filter((given) => firstOfCase.has(given));
    const same = firstOfText.get(text);
    const earliest = Math.min(same ?? Infinity, ...shared.map((given) => firstOfCase.get(given) ?? Infinity));
    const other = arms[earliest];
    if (other !== undefined) {
      const found = shared.find((given) => firstOfCase.get(given) === earliest) ?? new Map<string, Value>();
      warn(
        to,
        'DETERMINISTIC_OVERLAP',
        [...at, arm.name],
        `\`${arm.name}\` and \`${other.name}\` both apply ${describeCase(arms, found)}: a run is stuck`,
      );
    }
    for (const given of passing) if (!firstOfCase.has(given)) firstOfCase.set(given, index);
    if (same === undefined) firstOfText.set(text, index);
  }
}

/**
 * The cases that the state's guards can tell apart. Null: the verdicts do not follow from values alone, or there is too much to
 * look at, so nothing is certain. `definite`: as of `reachingValues`.
 */
function casesAt(plan: Plan, state: State, definite: boolean): readonly Case[] | null {
  const guards = guardedTransitions(state).flatMap((transition) => transition.guards);
  const compared = comparisonsByPath(guards);
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
  // Mappings say nothing of what stands deeper: a value of a type that it is compared with, or null where that is allowed.
  const types = comparedTypes(compared);
  const all = representatives({ admits: () => true, marks: [] }, compared) ?? [];
  return oneOf(
    all.filter((value) => (value === null ? !definite : value !== undefined && types.has(typeof value))),
  );
}

function describeCase(arms: readonly Transition[], found: Case): string {
  const paths = pathsIn(arms.flatMap((transition) => transition.guards));
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
      for (const operand of [guard.expr.left, guard.expr.right])
        if (operand.kind === 'path') found.set(pathKey(operand), operand.text);
  };
  guards.forEach(visit);
  return found;
}
