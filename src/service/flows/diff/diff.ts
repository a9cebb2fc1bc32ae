import { makeTurns } from '../../../model/give-way.js';
import { sameJson } from '../../../model/canonical.js';
import { escapePointer, isObject, type Json } from '../../../model/json.js';
import type { Actor, Plan, Tier, Transition } from '../../../engine/plan.js';
import { roomOf, takeValue } from '../../../engine/effects/room.js';
import { becameText, moves, planChanges, reliabilityChange, tierText } from './course.js';
import { gateChange } from './gates.js';
import {
  missing,
  noteOthers,
  tierEffect,
  weigh,
  type Note,
  type PermissionChange,
  type Weighed,
} from './weigh.js';
import { actors, does, executorText, gateText, guardText } from './words.js';

interface Change {
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: string;
  /** JSON pointer into the plan, states and transitions by name. */
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

export interface Diff {
  readonly structural: readonly Change[];
  readonly permissions: readonly PermissionChange[];
  /** How many more there are than are told. */
  readonly more: { readonly structural: number; readonly permissions: number };
}

/** Of changes, and of sentences, in one answer. */
const mostChanges = 1_000;
/** What either of them takes as JSON. */
const mostChangeBytes = 1024 * 1024;

/** What changed, and what it newly permits or forbids, as sentences: the widest first. Gives way as it goes. */
export async function diffPlans(before: Plan, after: Plan): Promise<Diff> {
  const turn = makeTurns();
  const structural = makeList<Change>();
  for (const one of structure(before as unknown as Json, after as unknown as Json, top))
    if (one === null) await turn();
    else structural.add(one);
  const weighed: Weighed[] = [];
  for (const part of permissionChanges(before, after)) {
    for (const one of part) weighed.push(one);
    await turn();
  }
  weighed.sort((a, b) => b.weight - a.weight);
  const permissions = makeList<PermissionChange>();
  for (const { effect, sentence } of weighed) permissions.add({ effect, sentence });
  return {
    structural: structural.told,
    permissions: permissions.told,
    more: { structural: structural.more(), permissions: permissions.more() },
  };
}

interface List<T> {
  readonly told: readonly T[];
  add(one: T): void;
  more(): number;
}

/** The first of them, as many as one answer tells; the others are counted. */
function makeList<T>(): List<T> {
  const told: T[] = [];
  const room = roomOf(mostChangeBytes);
  let more = 0;
  return {
    told,
    add: (one) => {
      const fits = more === 0 && told.length < mostChanges && takeValue(room, one as unknown as Json);
      if (fits) told.push(one);
      else more += 1;
    },
    more: () => more,
  };
}

/** Lists of named things as objects by name: moving one is no change. */
function byName(value: Json): Json {
  if (!Array.isArray(value)) return value;
  const names = value.map((one: Json) => (isObject(one) ? (one['name'] ?? one['key']) : undefined));
  const named =
    names.every((name): name is string => typeof name === 'string') &&
    new Set(names).size === names.length &&
    names.length > 0;
  return named ? Object.fromEntries(value.map((one: Json, index) => [names[index] ?? '', one])) : value;
}

/** The same of all that is in it. */
function keyed(value: Json): Json {
  const one = byName(value);
  if (Array.isArray(one)) return one.map(keyed);
  if (!isObject(one)) return one;
  return Object.fromEntries(Object.entries(one).map(([key, each]) => [key, keyed(each)]));
}

const deepest = 4;

interface Place {
  readonly path: string;
  readonly what: string;
  readonly depth: number;
}

const top: Place = { path: '', what: 'flow', depth: 0 };

/** Each part of two plans is looked at once. Null: others may go on here. */
function* structure(a: Json, b: Json, { path, what, depth }: Place): Generator<Change | null> {
  yield null;
  const [one, other] = [byName(a), byName(b)];
  if (!isObject(one) || !isObject(other) || depth > deepest) {
    const [from, to] = [keyed(a), keyed(b)];
    if (!sameJson(from, to)) yield { change: 'changed', what, path, from, to };
    return;
  }
  for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const at = `${path}/${escapePointer(key)}`;
    const [was, is] = [
      Object.hasOwn(one, key) ? one[key] : undefined,
      Object.hasOwn(other, key) ? other[key] : undefined,
    ];
    if (was === undefined) yield { change: 'added', what: key, path: at, from: null, to: keyed(is ?? null) };
    else if (is === undefined) yield { change: 'removed', what: key, path: at, from: keyed(was), to: null };
    else yield* structure(was, is, { path: at, what: key, depth: depth + 1 });
  }
}

function* permissionChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  yield charterChanges(before, after);
  yield* planChanges(before, after);
  yield* transitionChanges(before, after);
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
  const [tierBefore, tierAfter] = [toolTiers(before), toolTiers(after)];
  const lifted = missing(before.charter.deny, after.charter.deny);
  const denied = missing(after.charter.deny, before.charter.deny);
  return [
    ...lifted.map((tool) => weigh('wider', tierAfter(tool), `\`${tool}\` is no longer denied`, 8)),
    ...denied.map((tool) => weigh('narrower', tierBefore(tool), `\`${tool}\` is denied now`, 8)),
    ...(['execute', 'read'] as const).flatMap((list) => [
      ...missing(after.charter?.[list] ?? [], before.charter?.[list] ?? []).map((tool) =>
        weigh('wider', tierAfter(tool), `the charter now lets the flow ${list} \`${tool}\``, 2),
      ),
      ...missing(before.charter?.[list] ?? [], after.charter?.[list] ?? []).map((tool) =>
        weigh('narrower', tierBefore(tool), `the charter no longer lets the flow ${list} \`${tool}\``, 2),
      ),
    ]),
  ];
}

/** What its first transition says of a tool. */
function toolTiers({ states }: Plan): (tool: string) => Tier | null {
  const tiers = new Map<string, Tier | null>();
  for (const { tool, tier } of states.flatMap((state) => state.transitions))
    if (tool !== null && !tiers.has(tool)) tiers.set(tool, tier);
  return (tool) => tiers.get(tool) ?? null;
}

function* transitionChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const [old, now] = [transitions(before), transitions(after)];
  for (const key of new Set([...old.keys(), ...now.keys()]))
    yield transitionChange(key, old.get(key), now.get(key));
}

function transitionChange(
  key: string,
  one: Transition | undefined,
  other: Transition | undefined,
): Weighed[] {
  if (other === undefined)
    return one === undefined ? [] : [weigh('narrower', one.tier, `${key} can no longer be taken`)];
  if (one !== undefined) return changed(key, one, other);
  return [
    weigh(
      'wider',
      other.tier,
      `${actors(other.actor)} may now take ${key}: ${does(other)}, ${gateText(other.gates)}`,
    ),
  ];
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
  const [was, is] = [one.guards.map(guardText), other.guards.map(guardText)];
  const [lost, gained] = [missing(was, is), missing(is, was)];
  for (const guard of lost) note('wider', `${key} is no longer guarded by ${guard}`, 5);
  for (const guard of gained) note('narrower', `${key} is guarded by ${guard} now`, 5);
  if (one.tool !== other.tool || !sameJson(one.executor, other.executor))
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
