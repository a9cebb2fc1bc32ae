import { canonical } from '../../model/values/canonical.js';
import type { Json } from '../../model/values/json.js';
import { decidersOf } from '../../engine/index.js';
import { asksPeople, type GateTimeout, type Plan } from '../../engine/plan.js';
import {
  environmentOf,
  type EnvironmentEntry,
  type FloorEntry,
  type PolicySet,
} from '../../model/policy-set.js';
import { queuesIn } from '../../schema/kit.js';
import type { Catalog } from '../compile/context.js';

// What a set of policies had and the next set has not. A file that was cut off may load, so what is gone has to be reported.

export interface PolicyState {
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
  /** Names of the folder's flows. */
  readonly flows: readonly string[];
}

export interface Removed {
  readonly kind:
    'environment' | 'floor' | 'rule' | 'connection' | 'tool' | 'flow' | 'role' | 'queue' | 'notifications';
  readonly name: string;
  /** It restrains authors and agents, so a reload takes it away only when its name is confirmed. */
  readonly confirm: boolean;
}

/** `named`: queues that decide alone in flows in force (`queuesNamedAlone`). To remove such a queue has to be confirmed, as for a floor. */
export function findRemoved(
  before: PolicyState,
  after: PolicyState,
  named: readonly string[],
): readonly Removed[] {
  const [oldSet, newSet] = [before.policySet, after.policySet];
  const unconfirmed = (kind: Removed['kind'], old: readonly string[], now: readonly string[]): Removed[] =>
    namesGone(old, now).map((name) => ({ kind, name, confirm: false }));
  const names = (list: readonly { readonly name: string }[]): string[] => list.map((entry) => entry.name);
  return [
    ...namesGone(names(oldSet.environments), names(newSet.environments)).map((name): Removed => ({
      kind: 'environment',
      name,
      confirm: true,
    })),
    ...oldSet.environments.flatMap((old) => {
      const now = newSet.environments.find((environment) => environment.name === old.name);
      return [...removedFloors(oldSet, newSet, old, now), ...removedRules(old, now)];
    }),
    // Runs under way keep the floors of a former environment: declaring it again with less must be seen and confirmed.
    ...(oldSet.formerEnvironments ?? []).flatMap((old) => {
      const now = environmentOf(newSet, old.name) ?? undefined;
      return [...removedFloors(oldSet, newSet, old, now), ...removedRules(old, now)];
    }),
    ...unconfirmed('connection', names(oldSet.connections), names(newSet.connections)),
    ...unconfirmed('tool', names(before.catalog.tools), names(after.catalog.tools)),
    ...unconfirmed('flow', before.flows, after.flows),
    ...unconfirmed('role', names(oldSet.roles), names(newSet.roles)),
    ...namesGone(names(oldSet.queues), names(newSet.queues)).map((name): Removed => ({
      kind: 'queue',
      name,
      confirm: named.includes(name),
    })),
    ...unconfirmed(
      'notifications',
      oldSet.notifications ? ['notifications'] : [],
      newSet.notifications ? ['notifications'] : [],
    ),
  ];
}

function namesGone(old: readonly string[], now: readonly string[]): readonly string[] {
  const kept = new Set(now);
  return old.filter((name) => !kept.has(name));
}

/** Floors that are gone. A floor that says something else, or that others decide, counts as another floor. */
function removedFloors(
  oldSet: PolicySet,
  newSet: PolicySet,
  old: EnvironmentEntry,
  now: EnvironmentEntry | undefined,
): readonly Removed[] {
  const kept = new Set((now?.floors ?? []).map((floor) => floorText(newSet, floor)));
  const floors = old.floors ?? [];
  const names = floorNames(old.name, floors);
  return floors.flatMap((floor, index): readonly Removed[] =>
    kept.has(floorText(oldSet, floor)) ? [] : [{ kind: 'floor', name: names[index] ?? '', confirm: true }],
  );
}

/**
 * A text that differs whenever a floor does: what it says; who decides, by role or by permission, and which roles give that
 * permission; and their hours, where its time counts business hours.
 */
function floorText(policySet: PolicySet, floor: FloorEntry): string {
  const { roles, byPermission } = decidersOf(floor, queuesIn(policySet));
  const giving = policySet.roles.filter((role) => role.permissions.includes('approval.decide'));
  const givers = byPermission ? giving.map((role) => role.name).sort() : [];
  const hours = hoursOf(policySet, floor.timeout, roles);
  return canonical([floor, [...new Set(roles)].sort(), byPermission, givers, hours] as unknown as Json);
}

/** The hours of the roles that decide, or are escalated to; none where its time counts all hours. */
function hoursOf(policySet: PolicySet, timeout: GateTimeout | null, deciding: readonly string[]): Json {
  const stages: GateTimeout[] = [];
  for (let stage = timeout ?? undefined; stage !== undefined; stage = stage.then) stages.push(stage);
  if (!stages.some((stage) => stage.hours === 'business')) return [];
  const names = new Set([...deciding, ...stages.flatMap(({ to }) => to)]);
  const found = policySet.roles.filter((role) => names.has(role.name));
  return found.map(({ name, hours }) => [name, (hours ?? null) as unknown as Json]).sort();
}

/** Queues whose roles decide: those of gates and of `human` executors that name no role besides. */
export function queuesNamedAlone({ states }: Pick<Plan, 'states'>): readonly string[] {
  const named = states
    .flatMap(({ transitions }) => transitions)
    .flatMap(({ gates, executor }) => [...gates, ...(asksPeople(executor) ? [executor] : [])]);
  return named.flatMap(({ queue, roles }) => (queue === null || roles.length > 0 ? [] : [queue]));
}

/** A name for each floor, no two the same: a confirmed name stands for exactly that floor. */
function floorNames(environment: string, floors: readonly FloorEntry[]): readonly string[] {
  const plain = floors.map((floor) => floorName(environment, floor));
  return plain.map((name, index) => {
    const before = plain.slice(0, index).filter((earlier) => earlier === name).length;
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}

/** Such as `prod: irreversible by finance.controller`: who decides, and what else it asks for beyond the default. */
function floorName(environment: string, { tiers, roles, queue, quorum, reason }: FloorEntry): string {
  const who = roles.length > 0 ? roles.join(', ') : (queue ?? 'approval.decide');
  const shares = quorum.perRole.map(({ role, count }) => `${count} of ${role}`);
  const asks = [
    ...(quorum.count === 1 ? [] : [`quorum ${quorum.count}`]),
    ...(shares.length === 0 ? [] : [`quorum ${shares.join(' and ')}`]),
    ...(reason === 'required' ? ['reason required'] : []),
  ];
  return [`${environment}: ${tiers.join(', ')} by ${who}`, ...asks].join(', ');
}

type Rule = keyof Omit<EnvironmentEntry, 'name' | 'floors'>;

/** What an environment demands besides floors: its name in `confirm`, and whether `now` demands less than `old`. */
const rules: Readonly<
  Record<Rule, readonly [string, (old: EnvironmentEntry, now: EnvironmentEntry) => boolean]>
> = {
  requireTiers: ['requireTiers', (old, now) => old.requireTiers && !now.requireTiers],
  refuseWarnings: ['refuseWarnings', (old, now) => old.refuseWarnings && !now.refuseWarnings],
  gateTimeoutMs: ['gateTimeout', (old, now) => old.gateTimeoutMs < now.gateTimeoutMs],
  batchIrreversible: [
    'no batches of irreversible',
    (old, now) => old.batchIrreversible !== true && now.batchIrreversible === true,
  ],
};

function removedRules(old: EnvironmentEntry, now: EnvironmentEntry | undefined): readonly Removed[] {
  if (now === undefined) return [];
  const gone = Object.values(rules).filter(([, isLooser]) => isLooser(old, now));
  return gone.map(([name]) => ({ kind: 'rule', name: `${old.name}: ${name}`, confirm: true }));
}
