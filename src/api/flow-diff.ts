import { canonical } from '../model/canonical.js';
import { isObject, type Json } from '../model/json.js';
import type { Actor, Plan, Tier, Transition } from '../engine/plan.js';
import { becameText, moves, planChanges, reliabilityChange, tierText } from './flow-diff-course.js';
import { gateChange } from './flow-diff-gates.js';
import {
  noteOthers,
  tierEffect,
  weigh,
  type Note,
  type PermissionChange,
  type Weighed,
} from './flow-diff-weigh.js';
import { actors, does, executorText, gateText, guardText } from './flow-words.js';
import { escapePointer } from './problem.js';

export interface Change {
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: string;
  /** JSON pointer into the plan, states and transitions by name. */
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

/** What changed, and what it newly permits or forbids, as sentences: the widest first. */
export function diffPlans(
  before: Plan,
  after: Plan,
): { readonly structural: readonly Change[]; readonly permissions: readonly PermissionChange[] } {
  const structural = structure(keyed(before as unknown as Json), keyed(after as unknown as Json), '', 'flow');
  const weighed = [
    ...charterChanges(before, after),
    ...planChanges(before, after),
    ...transitionChanges(before, after),
  ];
  weighed.sort((a, b) => b.weight - a.weight);
  return { structural, permissions: weighed.map(({ effect, sentence }) => ({ effect, sentence })) };
}

/** Lists of named things as objects by name: moving one is no change. */
function keyed(value: Json): Json {
  if (Array.isArray(value)) {
    const names = value.map((one: Json) => (isObject(one) ? (one['name'] ?? one['key']) : undefined));
    const named =
      names.every((name): name is string => typeof name === 'string') &&
      new Set(names).size === names.length &&
      names.length > 0;
    if (!named) return value.map(keyed);
    return Object.fromEntries(value.map((one: Json, index) => [names[index] ?? '', keyed(one)]));
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, keyed(one)]));
}

const deepest = 4;

function structure(a: Json, b: Json, path: string, what: string): Change[] {
  if (canonical(a) === canonical(b)) return [];
  if (!isObject(a) || !isObject(b) || path.split('/').length > deepest + 1)
    return [{ change: 'changed', what, path, from: a, to: b }];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key): Change[] => {
    const at = `${path}/${escapePointer(key)}`;
    const [one, other] = [
      Object.hasOwn(a, key) ? a[key] : undefined,
      Object.hasOwn(b, key) ? b[key] : undefined,
    ];
    if (one === undefined) return [{ change: 'added', what: key, path: at, from: null, to: other ?? null }];
    if (other === undefined) return [{ change: 'removed', what: key, path: at, from: one, to: null }];
    return structure(one, other, at, key);
  });
}

function charterChanges(before: Plan, after: Plan): Weighed[] {
  if (before.charter === null && after.charter === null) return [];
  if (after.charter === null)
    return [
      weigh(
        'wider',
        'irreversible',
        'the flow no longer has a charter: nothing limits what its transitions may do',
        50,
      ),
    ];
  if (before.charter === null)
    return [weigh('narrower', 'irreversible', 'the flow now has a charter: only what it declares runs', 50)];
  const lifted = missing(before.charter.deny, after.charter.deny);
  const denied = missing(after.charter.deny, before.charter.deny);
  return [
    ...lifted.map((tool) => weigh('wider', toolTier(after, tool), `\`${tool}\` is no longer denied`, 8)),
    ...denied.map((tool) => weigh('narrower', toolTier(before, tool), `\`${tool}\` is denied now`, 8)),
    ...(['execute', 'read'] as const).flatMap((list) => [
      ...missing(after.charter?.[list] ?? [], before.charter?.[list] ?? []).map((tool) =>
        weigh('wider', toolTier(after, tool), `the charter now lets the flow ${list} \`${tool}\``, 2),
      ),
      ...missing(before.charter?.[list] ?? [], after.charter?.[list] ?? []).map((tool) =>
        weigh(
          'narrower',
          toolTier(before, tool),
          `the charter no longer lets the flow ${list} \`${tool}\``,
          2,
        ),
      ),
    ]),
  ];
}

function missing(from: readonly string[], inList: readonly string[]): string[] {
  return from.filter((one) => !inList.includes(one));
}

function toolTier(plan: Plan, tool: string): Tier | null {
  const all = plan.states.flatMap((state) => state.transitions);
  return all.find((one) => one.tool === tool)?.tier ?? null;
}

function transitionChanges(before: Plan, after: Plan): Weighed[] {
  const [old, now] = [transitions(before), transitions(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key): Weighed[] => {
    const [one, other] = [old.get(key), now.get(key)];
    if (other === undefined)
      return one === undefined ? [] : [weigh('narrower', one.tier, `${key} can no longer be taken`)];
    if (one === undefined)
      return [
        weigh(
          'wider',
          other.tier,
          `${actors(other.actor)} may now take ${key}: ${does(other)}, ${gateText(other.gates)}`,
        ),
      ];
    return changed(key, one, other);
  });
}

function transitions(plan: Plan): Map<string, Transition> {
  return new Map(
    plan.states.flatMap((state) =>
      state.transitions.map((one) => [`\`${one.name}\` in \`${state.name}\``, one] as const),
    ),
  );
}

const others = [
  'inputSchema',
  'toolSchema',
  'outputSchema',
  'prefill',
  'output',
  'branches',
  'evidence',
  'summary',
  'consequence',
  'readOnlyBecause',
] as const;

function changed(key: string, one: Transition, other: Transition): Weighed[] {
  const found: Weighed[] = [];
  const note: Note = (effect, sentence, extra = 0) =>
    void found.push(weigh(effect, other.tier, sentence, extra));
  if (one.actor !== other.actor)
    note(
      actorEffect(one.actor, other.actor),
      `${key} was for ${actors(one.actor)} and is for ${actors(other.actor)}`,
      6,
    );
  if (one.tier !== other.tier)
    note(
      tierEffect(one.tier, other.tier),
      `${key} was ${tierText(one.tier)} and is ${tierText(other.tier)}`,
      4,
    );
  gateChange(key, one.gates, other.gates, note);
  const lost = missing(one.guards.map(guardText), other.guards.map(guardText));
  const gained = missing(other.guards.map(guardText), one.guards.map(guardText));
  for (const guard of lost) note('wider', `${key} is no longer guarded by ${guard}`, 5);
  for (const guard of gained) note('narrower', `${key} is guarded by ${guard} now`, 5);
  if (one.tool !== other.tool || canonical(one.executor) !== canonical(other.executor))
    note('other', `${key} does something else: ${becameText(calls(one), calls(other))}`, 3);
  reliabilityChange(key, one.reliability, other.reliability, note);
  if (one.target !== other.target)
    note('other', `${key} leads to \`${other.target}\` instead of \`${one.target}\``);
  if (one.onDeny !== other.onDeny) note(moves(one.onDeny, other.onDeny), deniedText(key, one, other), 3);
  noteOthers(key, one, other, others, note);
  return found;
}

function calls({ tool, executor }: Transition): string {
  return tool === null ? executorText(executor) : `runs \`${tool}\`, which ${executorText(executor)}`;
}

function deniedText(key: string, { onDeny: one }: Transition, { onDeny: other }: Transition): string {
  const was = one === null ? 'left the run where it is' : `moved the run to \`${one}\``;
  const is = other === null ? 'leaves the run where it is' : `moves the run to \`${other}\``;
  return `a denial of ${key} ${is}, where it ${was}`;
}

const reach: Readonly<Record<Actor, number>> = { agent: 3, human: 2, system: 1, deterministic: 1 };

function actorEffect(one: Actor, other: Actor): PermissionChange['effect'] {
  if (reach[one] === reach[other]) return 'other';
  return reach[other] > reach[one] ? 'wider' : 'narrower';
}
