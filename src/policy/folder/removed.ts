import { canonical } from '../../model/canonical.js';
import type { Json } from '../../model/json.js';
import { decidersOf } from '../../engine/index.js';
import { asksPeople, type Plan } from '../../engine/plan.js';
import {
  environmentOf,
  type EnvironmentEntry,
  type FloorEntry,
  type FloorTimeout,
  type PolicySet,
} from '../../model/policy-set.js';
import { queuesIn } from '../../schema/kit.js';
import type { Catalog } from '../compile/context.js';

// What one set of policies had and the next has no more: a file that was cut off says nothing, and loads.

export interface Held {
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
  /** Names of the folder's flows. */
  readonly flows: readonly string[];
}

export interface Removed {
  readonly kind:
    'environment' | 'floor' | 'rule' | 'connection' | 'tool' | 'flow' | 'role' | 'queue' | 'notifications';
  readonly name: string;
  /** It holds authors and agents back: a reload takes it away only when its name is confirmed. */
  readonly confirm: boolean;
}

/** `named`: queues in which gates of flows in force wait. A queue among them holds back as a floor does. */
export function takenAway(before: Held, after: Held, named: readonly string[]): readonly Removed[] {
  const [was, is] = [before.policySet, after.policySet];
  const plain = (kind: Removed['kind'], old: readonly string[], now: readonly string[]): Removed[] =>
    missing(old, now).map((name) => ({ kind, name, confirm: false }));
  const names = (list: readonly { readonly name: string }[]): string[] => list.map((one) => one.name);
  return [
    ...missing(names(was.environments), names(is.environments)).map((name): Removed => ({
      kind: 'environment',
      name,
      confirm: true,
    })),
    ...was.environments.flatMap((old) => {
      const now = is.environments.find((one) => one.name === old.name);
      return [...removedFloors(was, is, old, now), ...removedRules(old, now)];
    }),
    // Runs under way are held to them: whoever declares the environment again takes none of that away unseen.
    ...(was.formerEnvironments ?? []).flatMap((old) => {
      const now = environmentOf(is, old.name) ?? undefined;
      return [...removedFloors(was, is, old, now), ...removedRules(old, now)];
    }),
    ...plain('connection', names(was.connections), names(is.connections)),
    ...plain('tool', names(before.catalog.tools), names(after.catalog.tools)),
    ...plain('flow', before.flows, after.flows),
    ...plain('role', names(was.roles), names(is.roles)),
    ...missing(names(was.queues), names(is.queues)).map((name): Removed => ({
      kind: 'queue',
      name,
      confirm: named.includes(name),
    })),
    ...plain(
      'notifications',
      was.notifications ? ['notifications'] : [],
      is.notifications ? ['notifications'] : [],
    ),
  ];
}

function missing(old: readonly string[], now: readonly string[]): readonly string[] {
  const left = new Set(now);
  return old.filter((name) => !left.has(name));
}

/** A floor that reads otherwise, or that others decide, is another one, and the one that was there is gone. */
function removedFloors(
  was: PolicySet,
  is: PolicySet,
  old: EnvironmentEntry,
  now: EnvironmentEntry | undefined,
): readonly Removed[] {
  const kept = new Set((now?.floors ?? []).map((floor) => textOf(is, floor)));
  const floors = old.floors ?? [];
  const names = floorNames(old.name, floors);
  return floors.flatMap((floor, index): readonly Removed[] =>
    kept.has(textOf(was, floor)) ? [] : [{ kind: 'floor', name: names[index] ?? '', confirm: true }],
  );
}

/**
 * What it says, and who decides at it: holders of roles, or of a permission, which roles give too. When they work counts
 * where its time does.
 */
function textOf(policySet: PolicySet, floor: FloorEntry): string {
  const { roles, byPermission } = decidersOf(floor, queuesIn(policySet));
  const giving = policySet.roles.filter((one) => one.permissions.includes('approval.decide'));
  const givers = byPermission ? giving.map((one) => one.name).sort() : [];
  const hours = hoursOf(policySet, floor.timeout, roles);
  return canonical([floor, [...new Set(roles)].sort(), byPermission, givers, hours] as unknown as Json);
}

/** Of those who decide and those whom it escalates to; none where its time counts all hours. */
function hoursOf(policySet: PolicySet, timeout: FloorTimeout | null, deciding: readonly string[]): Json {
  const stages: FloorTimeout[] = [];
  for (let stage = timeout ?? undefined; stage !== undefined; stage = stage.then) stages.push(stage);
  if (!stages.some((one) => one.hours === 'business')) return [];
  const names = new Set([...deciding, ...stages.flatMap(({ to }) => to)]);
  const found = policySet.roles.filter((one) => names.has(one.name));
  return found.map(({ name, hours }) => [name, (hours ?? null) as unknown as Json]).sort();
}

/** Queues that decide what waits in them: of gates, and of people's own steps, that name no role besides. */
export function queuesNamed({ states }: Pick<Plan, 'states'>): readonly string[] {
  const named = states
    .flatMap(({ transitions }) => transitions)
    .flatMap(({ gates, executor }) => [...gates, ...(asksPeople(executor) ? [executor] : [])]);
  return named.flatMap(({ queue, roles }) => (queue === null || roles.length > 0 ? [] : [queue]));
}

/** A name for each, and no two the same: who confirms one confirms that floor. */
function floorNames(environment: string, floors: readonly FloorEntry[]): readonly string[] {
  const plain = floors.map((floor) => floorName(environment, floor));
  return plain.map((name, index) => {
    const before = plain.slice(0, index).filter((one) => one === name).length;
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}

/** Who decides, and what else it asks for where that is not the default: `prod: irreversible by finance.controller`. */
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

/** What an environment demands besides floors: its name in `confirm`, and whether `now` holds back less than `old`. */
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
