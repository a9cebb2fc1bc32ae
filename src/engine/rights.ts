import type { Principal } from '../model/principal.js';
import { stepMeter } from './expression/meter.js';
import type { Guard, Plan, Transition } from './plan.js';
import type { Action, ApprovalState, GuardReport, Kit, RunState } from './state.js';
import { actingPrincipal } from './run/draft.js';
import { makeAsking } from './gates/asking.js';
import { stricterThanApproved } from './gates/covers.js';
import { applyingGates, ruleText } from './gates/gates.js';
import { guardsIn, isTooLarge, leavesOf } from './guards.js';
import { guardContext } from './links.js';
import { makeWork } from './run/work.js';

// Between asking and executing a caller may lose what it held: its key is revoked, its role is taken away.

/** In whose name an action is judged, with the rights that this principal has now; null: the runtime takes it by itself. */
export function actingNow(kit: Pick<Kit, 'rightsNow'>, action: Action): Principal | null {
  const asked = actingPrincipal(action);
  return asked === null ? null : kit.rightsNow(asked, action.requestedAt);
}

/** The first guard that does not pass for the action that is about to be executed; null: all pass. */
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

/**
 * Why the action needs an approval, or another one, now that the requester's rights are others; null: it does not. Only
 * gates whose condition reads rights are asked again: what other conditions read was settled when the action was granted.
 * `approval`: under which it was granted; undefined: without any.
 */
export function askedForNow(
  kit: Pick<Kit, 'rightsNow' | 'queueRoles'>,
  run: RunState,
  { gates }: Pick<Transition, 'gates'>,
  action: Action,
  approval: ApprovalState | undefined,
): string | null {
  const at = guardContext(run, actingNow(kit, action), action.arguments);
  const reading = gates.filter(({ on }) => on !== null && (isTooLarge(on) || asksForRights(on)));
  const now = applyingGates(reading, { ...at, meter: stepMeter(makeWork()) })?.gates ?? [];
  const names = now.map(({ rule }) => `\`${ruleText(rule)}\``).join(', ');
  if (now.length === 0) return null;
  if (approval === undefined)
    return `a gate asks for an approval of it by now (${names}), and it was granted without one: ask again`;
  const rules = now.map(({ rule }) => rule);
  const more = stricterThanApproved(rules, approval, kit);
  return more.length === 0
    ? null
    : `a gate asks for more by now (${names}) than what it was approved under: ${more.join(', ')}; ask again`;
}

/** Does anything in the plan depend on what a caller holds: a guard, the condition of a gate, or that of a branch? */
export function readsRights({ states }: Pick<Plan, 'states'>): boolean {
  return states
    .flatMap(({ transitions }) => transitions.flatMap(guardsIn))
    .some((guard) => isTooLarge(guard) || asksForRights(guard));
}

function asksForRights(guard: Guard): boolean {
  return leavesOf(guard).some(({ kind }) => kind === 'permission' || kind === 'role');
}
