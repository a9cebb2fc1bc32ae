import { makeTurns } from '../../../model/give-way.js';
import { sameJson } from '../../../model/values/canonical.js';
import { escapePointer, isObject, type Json } from '../../../model/values/json.js';
import type { Actor, Plan, Tier, Transition } from '../../../engine/plan.js';
import { roomOf, takeValue } from '../../../engine/effects/room.js';
import { becameText, leadEffect, planChanges, reliabilityChange, tierText } from './course.js';
import { gateChange } from './gates.js';
import {
  itemsNotIn,
  noteOthers,
  tierEffect,
  weigh,
  type Note,
  type PermissionChange,
  type Weighed,
} from './weigh.js';
import { actorsText, doingText, executorText, gateText, guardText } from './words.js';

interface Change {
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: string;
  /** JSON pointer into the plan, with states and transitions by name. */
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

export interface Diff {
  readonly structural: readonly Change[];
  readonly permissions: readonly PermissionChange[];
  /** How many more there are than are listed. */
  readonly more: { readonly structural: number; readonly permissions: number };
}

/** The most changes, and the most sentences, in an answer. */
const mostChanges = 1_000;
/** The most bytes of either list as JSON. */
const mostChangeBytes = 1024 * 1024;

/** What changed, and what it newly permits or forbids as sentences, the widest first. Gives way to other work meanwhile. */
export async function diffPlans(before: Plan, after: Plan): Promise<Diff> {
  const turn = makeTurns();
  const structural = makeList<Change>();
  for (const change of structuralChanges(before as unknown as Json, after as unknown as Json, top))
    if (change === null) await turn();
    else structural.add(change);
  const weighed: Weighed[] = [];
  for (const part of permissionChanges(before, after)) {
    for (const sentence of part) weighed.push(sentence);
    await turn();
  }
  weighed.sort((a, b) => b.weight - a.weight);
  const permissions = makeList<PermissionChange>();
  for (const { effect, sentence } of weighed) permissions.add({ effect, sentence });
  return {
    structural: structural.kept,
    permissions: permissions.kept,
    more: { structural: structural.more(), permissions: permissions.more() },
  };
}

interface List<T> {
  readonly kept: readonly T[];
  add(item: T): void;
  more(): number;
}

/** Keeps the first items, as many as an answer may carry, and counts the others. */
function makeList<T>(): List<T> {
  const told: T[] = [];
  const room = roomOf(mostChangeBytes);
  let more = 0;
  return {
    kept: told,
    add: (item) => {
      const fits = more === 0 && told.length < mostChanges && takeValue(room, item as unknown as Json);
      if (fits) told.push(item);
      else more += 1;
    },
    more: () => more,
  };
}

/** A list of named things as an object by name, so that a changed order is no change. */
function byName(value: Json): Json {
  if (!Array.isArray(value)) return value;
  const names = value.map((item: Json) => (isObject(item) ? (item['name'] ?? item['key']) : undefined));
  const named =
    names.every((name): name is string => typeof name === 'string') &&
    new Set(names).size === names.length &&
    names.length > 0;
  return named ? Object.fromEntries(value.map((item: Json, index) => [names[index] ?? '', item])) : value;
}

/** The same for all that the value holds. */
function deepByName(value: Json): Json {
  const named = byName(value);
  if (Array.isArray(named)) return named.map(deepByName);
  if (!isObject(named)) return named;
  return Object.fromEntries(Object.entries(named).map(([key, each]) => [key, deepByName(each)]));
}

const deepest = 4;

interface PlanPart {
  readonly path: string;
  readonly what: string;
  readonly depth: number;
}

const top: PlanPart = { path: '', what: 'flow', depth: 0 };

/** Compares two plans part by part. Null is no change, but a point to give way to other work. */
function* structuralChanges(
  before: Json,
  after: Json,
  { path, what, depth }: PlanPart,
): Generator<Change | null> {
  yield null;
  const [old, now] = [byName(before), byName(after)];
  if (!isObject(old) || !isObject(now) || depth > deepest) {
    const [from, to] = [deepByName(before), deepByName(after)];
    if (!sameJson(from, to)) yield { change: 'changed', what, path, from, to };
    return;
  }
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const at = `${path}/${escapePointer(key)}`;
    const [was, is] = [
      Object.hasOwn(old, key) ? old[key] : undefined,
      Object.hasOwn(now, key) ? now[key] : undefined,
    ];
    if (was === undefined)
      yield { change: 'added', what: key, path: at, from: null, to: deepByName(is ?? null) };
    else if (is === undefined)
      yield { change: 'removed', what: key, path: at, from: deepByName(was), to: null };
    else yield* structuralChanges(was, is, { path: at, what: key, depth: depth + 1 });
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
  const lifted = itemsNotIn(before.charter.deny, after.charter.deny);
  const denied = itemsNotIn(after.charter.deny, before.charter.deny);
  return [
    ...lifted.map((tool) => weigh('wider', tierAfter(tool), `\`${tool}\` is no longer denied`, 8)),
    ...denied.map((tool) => weigh('narrower', tierBefore(tool), `\`${tool}\` is denied now`, 8)),
    ...(['execute', 'read'] as const).flatMap((list) => [
      ...itemsNotIn(after.charter?.[list] ?? [], before.charter?.[list] ?? []).map((tool) =>
        weigh('wider', tierAfter(tool), `the charter now lets the flow ${list} \`${tool}\``, 2),
      ),
      ...itemsNotIn(before.charter?.[list] ?? [], after.charter?.[list] ?? []).map((tool) =>
        weigh('narrower', tierBefore(tool), `the charter no longer lets the flow ${list} \`${tool}\``, 2),
      ),
    ]),
  ];
}

/** The tier of a tool, by the first transition that names it. */
function toolTiers({ states }: Plan): (tool: string) => Tier | null {
  const tiers = new Map<string, Tier | null>();
  for (const { tool, tier } of states.flatMap((state) => state.transitions))
    if (tool !== null && !tiers.has(tool)) tiers.set(tool, tier);
  return (tool) => tiers.get(tool) ?? null;
}

function* transitionChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const [old, now] = [transitionsOf(before), transitionsOf(after)];
  for (const key of new Set([...old.keys(), ...now.keys()]))
    yield transitionChange(key, old.get(key), now.get(key));
}

function transitionChange(
  key: string,
  before: Transition | undefined,
  after: Transition | undefined,
): Weighed[] {
  if (after === undefined)
    return before === undefined ? [] : [weigh('narrower', before.tier, `${key} can no longer be taken`)];
  if (before !== undefined) return transitionDifferences(key, before, after);
  return [
    weigh(
      'wider',
      after.tier,
      `${actorsText(after.actor)} may now take ${key}: ${doingText(after)}, ${gateText(after.gates)}`,
    ),
  ];
}

function transitionsOf(plan: Plan): Map<string, Transition> {
  return new Map(
    plan.states.flatMap((state) =>
      state.transitions.map(
        (transition) => [`\`${transition.name}\` in \`${state.name}\``, transition] as const,
      ),
    ),
  );
}

const otherFields = [
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

function transitionDifferences(key: string, before: Transition, after: Transition): Weighed[] {
  const found: Weighed[] = [];
  const note: Note = (effect, sentence, extra = 0) =>
    void found.push(weigh(effect, after.tier, sentence, extra));
  if (before.actor !== after.actor)
    note(
      actorEffect(before.actor, after.actor),
      `${key} was for ${actorsText(before.actor)} and is for ${actorsText(after.actor)}`,
      6,
    );
  if (before.tier !== after.tier)
    note(
      tierEffect(before.tier, after.tier),
      `${key} was ${tierText(before.tier)} and is ${tierText(after.tier)}`,
      4,
    );
  gateChange(key, before.gates, after.gates, note);
  const [was, is] = [before.guards.map(guardText), after.guards.map(guardText)];
  const [lost, gained] = [itemsNotIn(was, is), itemsNotIn(is, was)];
  for (const guard of lost) note('wider', `${key} is no longer guarded by ${guard}`, 5);
  for (const guard of gained) note('narrower', `${key} is guarded by ${guard} now`, 5);
  if (before.tool !== after.tool || !sameJson(before.executor, after.executor))
    note('other', `${key} does something else: ${becameText(callText(before), callText(after))}`, 3);
  reliabilityChange(key, before.reliability, after.reliability, note);
  if (before.target !== after.target)
    note('other', `${key} leads to \`${after.target}\` instead of \`${before.target}\``);
  if (before.onDeny !== after.onDeny)
    note(leadEffect(before.onDeny, after.onDeny), deniedText(key, before, after), 3);
  noteOthers(key, before, after, otherFields, note);
  return found;
}

function callText({ tool, executor }: Transition): string {
  return tool === null ? executorText(executor) : `runs \`${tool}\`, which ${executorText(executor)}`;
}

function deniedText(key: string, { onDeny: before }: Transition, { onDeny: after }: Transition): string {
  const was = before === null ? 'left the run where it is' : `moved the run to \`${before}\``;
  const is = after === null ? 'leaves the run where it is' : `moves the run to \`${after}\``;
  return `a denial of ${key} ${is}, where it ${was}`;
}

const actorReach: Readonly<Record<Actor, number>> = { agent: 3, human: 2, system: 1, deterministic: 1 };

function actorEffect(before: Actor, after: Actor): PermissionChange['effect'] {
  if (actorReach[before] === actorReach[after]) return 'other';
  return actorReach[after] > actorReach[before] ? 'wider' : 'narrower';
}
