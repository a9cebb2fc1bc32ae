import type { Principal } from '../model/principal.js';
import type { Guard, Plan, Transition } from './plan.js';
import type { Action, GuardReport, Kit, RunState } from './state.js';
import { actingPrincipal } from './run/draft.js';
import { makeAsking } from './gates/asking.js';
import { isTooLarge } from './guards.js';
import { guardContext } from './links.js';
import { makeWork } from './run/work.js';

// What a caller held when it asked may be gone when it is executed: its key revoked, its role taken away.

/** In whose name a step is judged, with what it holds now; null: the runtime, which takes it by itself. */
export function actingNow(kit: Pick<Kit, 'rightsNow'>, action: Action): Principal | null {
  const asked = actingPrincipal(action);
  return asked === null ? null : kit.rightsNow(asked, action.requestedAt);
}

/** The first guard that does not pass for what is about to be executed; null: each passes. */
export function guardRefusing(
  kit: Pick<Kit, 'rightsNow'>,
  run: RunState,
  { guards }: Pick<Transition, 'guards'>,
  action: Action,
): GuardReport | null {
  const at = guardContext(run, actingNow(kit, action), action.arguments);
  const ask = makeAsking(makeWork(), guards, at);
  for (const [index, guard] of guards.entries()) {
    const { verdict, reason } = ask(guard);
    if (verdict !== 'pass') return { index, kind: guard.kind, verdict, reason };
  }
  return null;
}

/** Is anything in it decided by what a caller holds: a guard, the condition of a gate or of a branch? */
export function readsRights({ states }: Pick<Plan, 'states'>): boolean {
  return states.some(({ transitions }) =>
    transitions.some(({ guards, gates, branches }) =>
      [...guards, ...gates.map(({ on }) => on), ...branches.map(({ when }) => when)].some(
        (guard) => guard !== null && (isTooLarge(guard) || asksForRights(guard)),
      ),
    ),
  );
}

function asksForRights(guard: Guard): boolean {
  switch (guard.kind) {
    case 'permission':
    case 'role':
      return true;
    case 'allOf':
    case 'anyOf':
      return guard.guards.some(asksForRights);
    case 'not':
      return asksForRights(guard.guard);
    default:
      return false;
  }
}
