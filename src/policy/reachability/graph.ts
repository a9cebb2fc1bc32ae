import type { Plan, State, Transition } from '../../engine/plan.js';
import { mayBeDenied } from '../check/deniable.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// Where a flow's states lead. Every walk takes time linear in the transitions, so large flows are checked as well.

const isDeterministic = (transition: Transition): boolean => transition.actor === 'deterministic';

function targetsOf(state: State, isWay: (transition: Transition) => boolean): readonly string[] {
  return state.transitions.flatMap((transition) => [
    transition.target,
    ...transition.branches.map((branch) => branch.target),
    ...(transition.onDeny === null || !isWay(transition) ? [] : [transition.onDeny]),
  ]);
}

export function checkGraph(to: Compiling, plan: Plan, path: Path): void {
  // In a flow that was published before, an `onDeny` counts as a way on even where nothing can be denied.
  const isWay = (transition: Transition): boolean =>
    to.isPublished === true || mayBeDenied(to, plan, transition);
  const next = new Map(plan.states.map((state) => [state.name, targetsOf(state, isWay)]));
  const starts = [plan.initialState, ...(plan.onTimeout === null ? [] : [plan.onTimeout.target])];
  // A target that does not exist is an error already. It may be meant to be any state, so then all count as reachable.
  const nowhere = [...starts, ...[...next.values()].flat()].filter((name) => !next.has(name));
  const reachable = nowhere.length > 0 ? new Set(next.keys()) : walk(starts, next);
  const ends = plan.states.filter((state) => state.terminal).map((state) => state.name);
  const looping = checkDeterministicLoops(to, plan, path);
  const ending = walk([...ends, ...nowhere, ...looping], reverse(next));
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
        `state \`${state.name}\` mixes deterministic and other transitions: then the deterministic transitions never run`,
      );
    const names = state.transitions.map((transition) => transition.name);
    checkNamesDifferInCase(to, names, [...at, 'transitions']);
  }
}

function reverse(next: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const back = new Map<string, string[]>();
  for (const [from, targets] of next) {
    for (const target of targets) {
      const sources = back.get(target);
      if (sources === undefined) back.set(target, [from]);
      else sources.push(from);
    }
  }
  return back;
}

function walk(from: readonly string[], next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const pending = [...from];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const target of next.get(name) ?? []) if (!seen.has(target)) pending.push(target);
  }
  return seen;
}

/** Names of states from which the runtime only ever comes to states that it leaves by itself: a run there never waits or ends. */
function checkDeterministicLoops(to: Compiling, plan: Plan, path: Path): readonly string[] {
  const isWay = (transition: Transition): boolean => mayBeDenied(to, plan, transition);
  const next = new Map(plan.states.map((state) => [state.name, targetsOf(state, isWay)]));
  const driven = plan.states.filter(
    (state) => state.transitions.length > 0 && state.transitions.every(isDeterministic),
  );
  const names = new Set(driven.map((state) => state.name));
  const resting = plan.states.map((state) => state.name).filter((name) => !names.has(name));
  const leaving = walk(resting, reverse(next));
  const looping = driven.map((state) => state.name).filter((name) => !leaving.has(name));
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

export function checkNamesDifferInCase(to: Compiling, names: readonly string[], path: Path): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const same = seen.get(name.toLowerCase());
    if (same !== undefined && same !== name)
      warn(to, 'NAMES_DIFFER_IN_CASE', [...path, name], `\`${same}\` and \`${name}\` differ in case only`);
    seen.set(name.toLowerCase(), name);
  }
}
