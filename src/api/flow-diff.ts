import { canonical } from '../model/canonical.js';
import { isObject, type Json } from '../model/json.js';
import type { Actor, Gate, Guard, Plan, Tier, Transition } from '../engine/plan.js';
import { stricterThanAll } from '../engine/covers.js';
import { escapePointer } from './problem.js';

export interface Change {
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: string;
  /** JSON pointer into the plan, states and transitions by name. */
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

export interface PermissionChange {
  readonly effect: 'wider' | 'narrower' | 'other';
  readonly sentence: string;
}

/** What changed, and what it newly permits or forbids, as sentences: the widest first. */
export function diffPlans(
  before: Plan,
  after: Plan,
): { readonly structural: readonly Change[]; readonly permissions: readonly PermissionChange[] } {
  const structural = structure(keyed(before as unknown as Json), keyed(after as unknown as Json), '', 'flow');
  const weighed = [...charterChanges(before, after), ...transitionChanges(before, after)];
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

interface Weighed extends PermissionChange {
  readonly weight: number;
}

const tierWeight: Readonly<Record<Tier | 'none', number>> = {
  irreversible: 40,
  none: 35,
  reversible: 20,
  read_only: 10,
};

function weigh(effect: PermissionChange['effect'], tier: Tier | null, sentence: string, extra = 0): Weighed {
  const direction = { wider: 200, other: 100, narrower: 0 }[effect];
  return { effect, sentence, weight: direction + tierWeight[tier ?? 'none'] + extra };
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

function changed(key: string, one: Transition, other: Transition): Weighed[] {
  const found: Weighed[] = [];
  const note = (effect: PermissionChange['effect'], sentence: string, extra = 0): void =>
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
      `${key} was ${one.tier ?? 'without a tier'} and is ${other.tier ?? 'without a tier'}`,
      4,
    );
  gateChange(key, one.gates, other.gates, note);
  const lost = missing(one.guards.map(guardText), other.guards.map(guardText));
  const gained = missing(other.guards.map(guardText), one.guards.map(guardText));
  for (const guard of lost) note('wider', `${key} is no longer guarded by ${guard}`, 5);
  for (const guard of gained) note('narrower', `${key} is guarded by ${guard} now`, 5);
  if (canonical(one.executor) !== canonical(other.executor))
    note('other', `${key} does something else: ${does(one)} became ${does(other)}`, 3);
  if (canonical(one.inputSchema) !== canonical(other.inputSchema))
    note('other', `${key} takes other arguments`);
  if (one.target !== other.target)
    note('other', `${key} leads to \`${other.target}\` instead of \`${one.target}\``);
  return found;
}

type Note = (effect: PermissionChange['effect'], sentence: string, extra?: number) => void;

/** A queue stands for itself: who is in it, no version of a flow says. */
const byName = { queueRoles: (queue: string): readonly string[] => [`queue:${queue}`] };

function gateChange(key: string, before: readonly Gate[], after: readonly Gate[], note: Note): void {
  if (canonical(before) === canonical(after)) return;
  if (after.length === 0) return note('wider', `${key} no longer waits for an approval`, 9);
  if (before.length === 0) return note('narrower', `${key} now waits: ${gateText(after)}`, 9);
  const asksAlways = (gates: readonly Gate[]): boolean => gates.some(({ on }) => on === null);
  const fewer =
    stricterThanAll(before, after, byName).length > 0 || (asksAlways(before) && !asksAlways(after));
  const more =
    stricterThanAll(after, before, byName).length > 0 || (!asksAlways(before) && asksAlways(after));
  const effect = fewer === more ? 'other' : fewer ? 'wider' : 'narrower';
  note(effect, `the approval of ${key} changed: ${gateText(before)} became ${gateText(after)}`, 7);
}

const reach: Readonly<Record<Actor, number>> = { agent: 3, human: 2, system: 1, deterministic: 1 };

function actorEffect(one: Actor, other: Actor): PermissionChange['effect'] {
  if (reach[one] === reach[other]) return 'other';
  return reach[other] > reach[one] ? 'wider' : 'narrower';
}

/** A lower tier asks for less: that is the wider one. */
function tierEffect(one: Tier | null, other: Tier | null): PermissionChange['effect'] {
  return tierWeight[other ?? 'none'] < tierWeight[one ?? 'none'] ? 'wider' : 'narrower';
}

function actors(actor: Actor): string {
  return {
    agent: 'agents and humans',
    human: 'humans',
    system: 'system principals',
    deterministic: 'the runtime alone',
  }[actor];
}

function does({ executor, tool, tier }: Transition): string {
  const what =
    tool === null
      ? executor === null
        ? 'only moves the run'
        : `calls ${executor.kind}`
      : `runs \`${tool}\``;
  return tier === null ? what : `${what} (${tier.replace('_', ' ')})`;
}

function gateText(gates: readonly Gate[]): string {
  if (gates.length === 0) return 'without approval';
  return `with ${gates.map(oneGateText).join(', and ')}`;
}

function oneGateText({ roles, quorum, on }: Gate): string {
  const who =
    roles.length > 0 ? `of ${roles.map((role) => `\`${role}\``).join(' or ')}` : 'of who may decide';
  const when = on === null ? '' : ` when ${guardText(on)}`;
  return `${quorum.count} approval${quorum.count === 1 ? '' : 's'} ${who}${when}`;
}

function guardText(guard: Guard): string {
  switch (guard.kind) {
    case 'permission':
      return `the permission \`${guard.permission}\``;
    case 'role':
      return `the role \`${guard.role}\``;
    case 'expr':
      return `\`${guard.expr.text}\``;
    case 'evidence':
      return `evidence ${guard.requires.map((one) => `\`${one.kind}\` × ${one.count}`).join(', ')}`;
    case 'not':
      return `not ${guardText(guard.guard)}`;
    case 'allOf':
    case 'anyOf':
      return `${guard.kind === 'allOf' ? 'all' : 'any'} of (${guard.guards.map(guardText).join('; ')})`;
  }
}
