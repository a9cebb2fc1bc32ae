import { dirname } from 'node:path';
import {
  defaultGateTimeoutMs,
  type EnvironmentEntry,
  type PolicySet,
  type RoleEntry,
} from '../../model/policy-set.js';
import { connectionsOf } from './connections.js';
import { unique, type Reading } from '../folder/reading.js';
import { weekdays, type FileShape, type HoursShape } from '../shape/shapes.js';
import type { Source } from '../text/source.js';

// What the folder declares besides flows and tools.

export interface PolicyFile {
  readonly source: Source;
  /** Null: the document is one declared agent. */
  readonly shape: FileShape | null;
}

/** `knownQueues`: those that were declared before, now or once. */
export function assemble(
  reading: Reading,
  files: readonly PolicyFile[],
  knownQueues: readonly string[],
): PolicySet {
  const environments = files.flatMap(({ source, shape }) =>
    Object.entries(shape?.environments ?? {}).flatMap(([name, one]) =>
      unique(reading, source, 'environment', name, ['environments', name])
        ? [environment(name, one ?? {})]
        : [],
    ),
  );
  const all =
    environments.length > 0 ? environments : ['dev', 'staging', 'prod'].map((name) => environment(name, {}));
  const names = all.map((one) => one.name);
  const queues = files.flatMap(({ source, shape }) =>
    Object.entries(shape?.queues ?? {}).flatMap(([name, one]) =>
      unique(reading, source, 'queue', name, ['queues', name]) ? [{ name, roles: one.roles }] : [],
    ),
  );
  return {
    v: 1,
    baseDirectory: dirname(reading.root),
    environments: all,
    connections: files.flatMap((file) => connectionsOf(reading, file.source, file.shape, names)),
    roles: files.flatMap(({ source, shape }) =>
      Object.entries(shape?.roles ?? {}).flatMap(([name, one]) =>
        unique(reading, source, 'role', name, ['roles', name]) ? [role(name, one ?? {})] : [],
      ),
    ),
    queues,
    ...formerQueues(queues, knownQueues),
  };
}

/** Once declared, and taken away since: no label again, or whoever holds `approval.decide` would decide in it. */
export function formerQueues(
  queues: PolicySet['queues'],
  known: readonly string[],
): Pick<PolicySet, 'formerQueues'> {
  const former = known.filter((name) => !queues.some((one) => one.name === name));
  return former.length === 0 ? {} : { formerQueues: [...new Set(former)].sort() };
}

/** Those that it declares, and those that were declared before. */
export function knownQueues(policySet: Pick<PolicySet, 'queues' | 'formerQueues'> | null): readonly string[] {
  return [...(policySet?.queues ?? []).map(({ name }) => name), ...(policySet?.formerQueues ?? [])];
}

/** Once declared, and taken away since: runs under way there keep the floors that they began under. */
export function formerEnvironments(
  environments: PolicySet['environments'],
  before: Pick<PolicySet, 'environments' | 'formerEnvironments'> | null,
): Pick<PolicySet, 'formerEnvironments'> {
  const known = [...(before?.environments ?? []), ...(before?.formerEnvironments ?? [])];
  const former = known.filter(({ name }) => !environments.some((one) => one.name === name));
  return former.length === 0 ? {} : { formerEnvironments: former };
}

function role(
  name: string,
  { permissions, hours }: { permissions?: string[] | undefined; hours?: HoursShape | undefined },
): RoleEntry {
  const days = hours?.days ?? ['mon', 'tue', 'wed', 'thu', 'fri'];
  return {
    name,
    permissions: permissions ?? [],
    ...(hours === undefined
      ? {}
      : { hours: { ...hours, days: days.map((day) => weekdays.indexOf(day) + 1).sort((a, b) => a - b) } }),
  };
}

function environment(
  name: string,
  shape: {
    requireTiers?: boolean | undefined;
    refuseWarnings?: boolean | undefined;
    gateTimeout?: number | undefined;
    batchIrreversible?: boolean | undefined;
  },
): EnvironmentEntry {
  return {
    name,
    requireTiers: shape.requireTiers ?? false,
    refuseWarnings: shape.refuseWarnings ?? false,
    gateTimeoutMs: shape.gateTimeout ?? defaultGateTimeoutMs,
    ...(shape.batchIrreversible === true ? { batchIrreversible: true } : {}),
  };
}
