import { floorsFor, gateRoles, humanGate } from '../engine/gates.js';
import { strictest } from '../engine/merge.js';
import type { Floor, Gate, Plan, State, Transition } from '../engine/plan.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { queueRoles } from './gates.js';

// What the gates of several places come to where the flow lives, and steps that no gate can stand before.

type PathOf = (plan: Plan, path: Path, state: State, transition: Transition) => Path;

export function checkGates(to: Compiling, plan: Plan, path: Path, pathOf: PathOf): void {
  const environment = plan.environment ?? 'dev';
  const entry = to.catalog.policySet.environments.find((one) => one.name === environment);
  const floors = (entry?.floors ?? []).map(({ tiers, ...rules }): Floor => ({
    tiers,
    gate: { on: null, ...rules, because: [] },
  }));
  for (const state of plan.states) {
    const { name, onEnter } = state;
    if (onEnter !== null && floorsFor({ ...onEnter, tier: onEnter.tier ?? null }, { floors }).length > 0)
      error(
        to,
        'GATE_IMPOSSIBLE',
        [...path, 'states', name, 'onEnter'],
        `\`${environment}\` asks for an approval of this effect, and what entering a state does waits at no gate: put it on a transition`,
        'key',
      );
    for (const transition of state.transitions) {
      const at = pathOf(plan, path, state, transition);
      const parts = [...ownParts(transition), ...floorsFor(transition, { floors })];
      checkTogether(to, parts, at);
      warnNoWayOn(to, plan, transition, parts, at);
    }
  }
}

function ownParts({ gate, executor }: Transition): readonly Gate[] {
  const own = gate === null ? [] : (gate.parts ?? [gate]);
  return executor?.kind === 'human' ? [...own, humanGate(executor.roles, executor.queue)] : own;
}

/** Whoever satisfies one gate may be shut out by the other: then nobody ever fills the quorum. */
function checkTogether(to: Compiling, parts: readonly Gate[], at: Path): void {
  const always = parts.filter((one) => one.on === null);
  const sometimes = parts.filter((one) => one.on !== null);
  const groups = sometimes.length === 0 ? [always] : sometimes.map((one) => [one, ...always]);
  for (const [first, ...others] of groups) {
    if (first === undefined || others.length === 0) continue;
    const people = (one: Gate): Gate => ({
      ...one,
      roles: gateRoles(one, { queueRoles: (queue) => queueRoles(to, queue) }),
    });
    const merged = others.reduce((sofar, one) => strictest(sofar, people(one)), people(first));
    const { roles } = merged;
    const wanted = merged.quorum.perRole.find(({ role }) => !roles.includes(role))?.role;
    if (wanted === undefined) continue;
    const who = roles.map((one) => `\`${one}\``).join(', ');
    error(
      to,
      'QUORUM_IMPOSSIBLE',
      [first, ...others].flatMap((one) => (one.origin?.path ? [one.origin.path] : []))[0] ?? at,
      `a quorum asks for the role \`${wanted}\`, and all gates together are decided by ${who === '' ? 'no role' : who} only: let their roles meet`,
      'key',
    );
    return;
  }
}

/** Nobody submits it again: denied, or out of time, the run stays where it is. */
function warnNoWayOn(
  to: Compiling,
  plan: Plan,
  { name, actor }: Transition,
  parts: readonly Gate[],
  at: Path,
): void {
  if (actor !== 'deterministic' || parts.length === 0 || plan.timeoutMs !== null) return;
  warn(
    to,
    'DETERMINISTIC_GATE',
    at,
    `\`${name}\` is taken by nobody, so when its approval is denied nobody can take it again: let a person or an agent submit it, or give the flow a \`timeout\``,
  );
}
