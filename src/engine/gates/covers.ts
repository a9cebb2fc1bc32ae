import { sameJson } from '../../model/values/canonical.js';
import type { Gate } from '../plan.js';
import type { ApprovalState, Kit } from '../state.js';
import { decidersOf } from './deciders.js';
import { floorsFor, ruleOf, ruleText, unknownFloors, type GatedStep } from './gates.js';
import { isApprovedByRule } from './quorum.js';

// Gates as they are now, beside those under which something was approved: does any of them ask for more?

type QueueKit = Pick<Kit, 'queueRoles'>;

/** Names of the rules by which a gate of `now` asks for more than every gate of `then`; none: `then` answers for `now`. */
export function stricterThanAll(now: readonly Gate[], then: readonly Gate[], kit: QueueKit): string[] {
  const more = now.flatMap((gate) => {
    const [first = ['gate'], ...others] = then.map((earlier) => stricterThan(gate, earlier, kit));
    return others.reduce((best, rules) => (rules.length < best.length ? rules : best), first);
  });
  return [...new Set(more)];
}

/**
 * The same for the gates of an approval. A gate that time approved, or that people approved whom an escalation added,
 * answers for the same rule only: those whom the rule names have not approved it by themselves.
 */
export function stricterThanApproved(now: readonly Gate[], approval: Approved, kit: QueueKit): string[] {
  const kept = approval.gates.map(({ rule }) => rule);
  const byRule = kept.filter((_rule, index) => isApprovedByRule(approval, index, kit));
  const others = now.filter((gate) => !kept.some((rule) => isSame(gate, rule)));
  return stricterThanAll(others, byRule, kit);
}

/**
 * Why an effect may not begin under the environment's floors as they are now; null: it was granted under no less.
 * `approval`: undefined where the effect was granted without any.
 */
export function missingUnderFloors(
  step: Omit<GatedStep, 'gates'>,
  approval: Approved | undefined,
  kit: QueueKit & Pick<Kit, 'floors'>,
): string | null {
  const unknown = unknownFloors(step, kit);
  if (unknown !== null) return unknown;
  const floors = floorsFor(step, kit);
  if (floors.length === 0) return null;
  const names = floors.map((floor) => `\`${ruleText(floor)}\``).join(', ');
  if (approval === undefined)
    return `${names} asks for an approval of it by now, and it was granted without one: ask again`;
  const more = stricterThanApproved(floors.map(ruleOf), approval, kit);
  return more.length === 0
    ? null
    : `${names} asks for more by now than what it was approved under: ${more.join(', ')}; ask again`;
}

type Approved = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters'>;

function isSame(gate: Gate, other: Gate): boolean {
  return sameJson(gate, other);
}

/** Names of the rules in which `now` is stricter than `then`; none: whoever satisfied `then` satisfies `now`. */
export function stricterThan(now: Gate, then: Gate, kit: QueueKit): string[] {
  if (isSame(now, then)) return [];
  const rules: readonly (readonly [string, boolean])[] = [
    ['roles', takesOthers(now, then, kit)],
    ['quorum', now.quorum.count > then.quorum.count || lacksSlots(now, then)],
    ['separation', separates(now, then)],
    ['reason', now.reason === 'required' && then.reason !== 'required'],
    ['direct', now.direct === 'required' && then.direct !== 'required'],
  ];
  return rules.flatMap(([name, more]) => (more ? [name] : []));
}

/** Somebody decides at `then` who does not decide at `now`. */
function takesOthers(now: Gate, then: Gate, kit: QueueKit): boolean {
  const [here, there] = [decidersOf(now, kit), decidersOf(then, kit)];
  const roles = new Set(here.roles);
  return here.byPermission !== there.byPermission || there.roles.some((role) => !roles.has(role));
}

function lacksSlots(now: Gate, then: Gate): boolean {
  return now.quorum.perRole.some(
    ({ role, count }) => !then.quorum.perRole.some((slot) => slot.role === role && slot.count >= count),
  );
}

function separates({ separation: now }: Gate, { separation: then }: Gate): boolean {
  return (
    (now.requester && !then.requester) ||
    (now.author && !then.author) ||
    (now.promoter && !then.promoter) ||
    (now.approvers === true && then.approvers !== true)
  );
}
