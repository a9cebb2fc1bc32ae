import type { Plan, State, Transition } from '../../engine/plan.js';
import { mayBeDenied } from '../check/deniable.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// Where a flow's states lead. Every walk is linear in the transitions: a large flow is as welcome as a small one.

const isDeterministic = (one: Transition): boolean => one.actor === 'deterministic';

function targetsOf(state: State, isWay: (transition: Transition) => boolean): readonly string[] {
  return state.transitions.flatMap((one) => [
    one.target,
    ...one.branches.map((branch) => branch.target),
    ...(one.onDeny === null || !isWay(one) ? [] : [one.onDeny]),
  ]);
}

export function checkGraph(to: Compiling, plan: Plan, path: Path): void {
  // Of a flow that was published before, what nobody asked then is no way less.
  const isWay = (one: Transition): boolean => to.rewritten === 'warned' || mayBeDenied(to, plan, one);
  const next = new Map(plan.states.map((state) => [state.name, targetsOf(state, isWay)]));
  const starts = [plan.initialState, ...(plan.onTimeout === null ? [] : [plan.onTimeout.target])];
  // What leads to a state that does not exist is an error already, and may be meant to lead anywhere.
  const nowhere = [...starts, ...[...next.values()].flat()].filter((name) => !next.has(name));
  const reachable = nowhere.length > 0 ? new Set(next.keys()) : walk(starts, next);
  const ends = plan.states.filter((one) => one.terminal).map((one) => one.name);
  const looping = checkDeterministicLoops(to, plan, path);
  const ending = walk([...ends, ...nowhere, ...looping], reversed(next));
  for (const state of plan.states) {
    const at = [...path, 'states', state.name];
    if (!reachable.has(state.name))
      warn(to, 'UNREACHABLE_STATE', at, `nothing leads to state \`${state.name}\``);
    if (!state.terminal && state.transitions.length === 0)
      warn(
        to,
        'DEAD_END',
        at,
        `state \`${state.name}\` is not terminal and has no transition: a run that enters it is stuck`,
      );
    else if (!ending.has(state.name))
      warn(to, 'NO_WAY_TO_END', at, `no terminal state can be reached from \`${state.name}\``);
    if (state.transitions.some(isDeterministic) && !state.transitions.every(isDeterministic))
      warn(
        to,
        'MIXED_DETERMINISTIC',
        at,
        `state \`${state.name}\` mixes deterministic and other transitions: the deterministic ones then never run`,
      );
    const names = state.transitions.map((one) => one.name);
    checkCase(to, names, [...at, 'transitions']);
  }
}

function reversed(next: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const back = new Map<string, string[]>();
  for (const [from, targets] of next) {
    for (const target of targets) {
      const known = back.get(target);
      if (known === undefined) back.set(target, [from]);
      else known.push(from);
    }
  }
  return back;
}

function walk(from: readonly string[], next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const target of next.get(name) ?? []) if (!seen.has(target)) open.push(target);
  }
  return seen;
}

/** States that only the runtime leaves, and from which it gets to nothing but more of them: it never waits for anybody. */
function checkDeterministicLoops(to: Compiling, plan: Plan, path: Path): readonly string[] {
  const isWay = (one: Transition): boolean => mayBeDenied(to, plan, one);
  const next = new Map(plan.states.map((state) => [state.name, targetsOf(state, isWay)]));
  const driven = plan.states.filter(
    (one) => one.transitions.length > 0 && one.transitions.every(isDeterministic),
  );
  const names = new Set(driven.map((one) => one.name));
  const resting = plan.states.map((one) => one.name).filter((one) => !names.has(one));
  const leaving = walk(resting, reversed(next));
  const looping = driven.map((one) => one.name).filter((name) => !leaving.has(name));
  for (const name of looping)
    error(
      to,
      'DETERMINISTIC_LOOP',
      [...path, 'states', name],
      `state \`${name}\` leads to deterministic transitions only, without an exit: a run would never stop`,
      'key',
    );
  return looping;
}

export function checkCase(to: Compiling, names: readonly string[], path: Path): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const same = seen.get(name.toLowerCase());
    if (same !== undefined && same !== name)
      warn(to, 'NAMES_DIFFER_IN_CASE', [...path, name], `\`${same}\` and \`${name}\` differ in case only`);
    seen.set(name.toLowerCase(), name);
  }
}
