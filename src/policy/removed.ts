import { canonical } from '../model/canonical.js';
import type { Json } from '../model/json.js';
import type { EnvironmentEntry, FloorEntry, PolicySet } from '../model/policy-set.js';
import type { Catalog } from './context.js';

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

export function takenAway(before: Held, after: Held): readonly Removed[] {
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
      return [...removedFloors(old, now), ...removedRules(old, now)];
    }),
    ...plain('connection', names(was.connections), names(is.connections)),
    ...plain('tool', names(before.catalog.tools), names(after.catalog.tools)),
    ...plain('flow', before.flows, after.flows),
    ...plain('role', names(was.roles), names(is.roles)),
    ...plain('queue', names(was.queues), names(is.queues)),
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

/** A floor that reads otherwise is another one, and the one that was there is gone. */
function removedFloors(old: EnvironmentEntry, now: EnvironmentEntry | undefined): readonly Removed[] {
  const kept = new Set((now?.floors ?? []).map(textOf));
  const gone = (old.floors ?? []).filter((floor) => !kept.has(textOf(floor)));
  return gone.map((floor) => ({ kind: 'floor', name: floorName(old.name, floor), confirm: true }));
}

const textOf = (floor: FloorEntry): string => canonical(floor as unknown as Json);

/** What may be told apart by who decides: `prod: irreversible by finance.controller`. */
export function floorName(environment: string, { tiers, roles, queue }: FloorEntry): string {
  const who = roles.length > 0 ? roles.join(', ') : (queue ?? 'approval.decide');
  return `${environment}: ${tiers.join(', ')} by ${who}`;
}

/** What an environment demands besides: a name and what it was. */
function removedRules(old: EnvironmentEntry, now: EnvironmentEntry | undefined): readonly Removed[] {
  if (now === undefined) return [];
  const gone = [
    ...(old.requireTiers && !now.requireTiers ? ['requireTiers'] : []),
    ...(old.refuseWarnings && !now.refuseWarnings ? ['refuseWarnings'] : []),
    ...(old.batchIrreversible !== true && now.batchIrreversible === true
      ? ['no batches of irreversible']
      : []),
  ];
  return gone.map((rule) => ({ kind: 'rule', name: `${old.name}: ${rule}`, confirm: true }));
}
