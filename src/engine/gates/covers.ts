import { sameJson } from '../../model/canonical.js';
import type { Gate } from '../plan.js';
import type { ApprovalState, Kit } from '../state.js';
import { decidersOf } from './deciders.js';
import { floorsFor, ruleOf, ruleText, unknownFloors, type Step } from './gates.js';
import { isApprovedByRule } from './quorum.js';

// Gates of now beside those that something was approved under: does anybody ask for more?

type QueueKit = Pick<Kit, 'queueRoles'>;

/** The rules by which one of these gates asks for more than each of those did, by name; none: those answer for these. */
export function stricterThanAll(now: readonly Gate[], then: readonly Gate[], kit: QueueKit): string[] {
  const more = now.flatMap((gate) => {
    const [first = ['gate'], ...others] = then.map((earlier) => stricterThan(gate, earlier, kit));
    return others.reduce((best, rules) => (rules.length < best.length ? rules : best), first);
  });
  return [...new Set(more)];
}

/**
 * The same of gates that are approved. One that time approved, or that took people whom an escalation added, answers
 * for its own rule only: nobody whom the rule names has stood for another.
 */
export function stricterThanApproved(now: readonly Gate[], approval: Approved, kit: QueueKit): string[] {
  const kept = approval.gates.map(({ rule }) => rule);
  const byRule = kept.filter((_rule, index) => isApprovedByRule(approval, index, kit));
  const others = now.filter((gate) => !kept.some((rule) => isSame(gate, rule)));
  return stricterThanAll(others, byRule, kit);
}

/**
 * Why an effect may not begin under the floors that stand now; null: they ask for no more than what it was granted under.
 * Without an approval nobody was asked.
 */
export function missingUnderFloors(
  step: Omit<Step, 'gates'>,
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

/** The rules that `now` has and `then` has not, by name; none: whoever satisfied `then` satisfies `now`. */
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

/** Somebody decides at `then` who does not at `now`. */
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
