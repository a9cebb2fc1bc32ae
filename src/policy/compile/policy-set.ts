import { dirname } from 'node:path';
import {
  defaultGateTimeoutMs,
  type EnvironmentEntry,
  type PolicySet,
  type RoleEntry,
} from '../../model/policy-set.js';
import { compileConnections } from './connections.js';
import { claimName, type Reading } from '../folder/reading.js';
import { weekdays, type FileShape, type HoursShape } from '../shape/shapes.js';
import type { Source } from '../text/source.js';

// What the folder declares besides flows and tools.

export interface PolicyFile {
  readonly source: Source;
  /** Null: the document is a declared agent. */
  readonly shape: FileShape | null;
}

/** The policy set of a folder, without floors and notifications. `knownQueues`: names of queues that were ever declared before. */
export function assemblePolicySet(
  reading: Reading,
  files: readonly PolicyFile[],
  knownQueues: readonly string[],
): PolicySet {
  const environments = files.flatMap(({ source, shape }) =>
    Object.entries(shape?.environments ?? {}).flatMap(([name, declared]) =>
      claimName(reading, source, 'environment', name, ['environments', name])
        ? [compileEnvironment(name, declared ?? {})]
        : [],
    ),
  );
  const all =
    environments.length > 0
      ? environments
      : ['dev', 'staging', 'prod'].map((name) => compileEnvironment(name, {}));
  const names = all.map((entry) => entry.name);
  const queues = files.flatMap(({ source, shape }) =>
    Object.entries(shape?.queues ?? {}).flatMap(([name, declared]) =>
      claimName(reading, source, 'queue', name, ['queues', name]) ? [{ name, roles: declared.roles }] : [],
    ),
  );
  return {
    v: 1,
    baseDirectory: dirname(reading.root),
    environments: all,
    connections: files.flatMap((file) => compileConnections(reading, file.source, file.shape, names)),
    roles: files.flatMap(({ source, shape }) =>
      Object.entries(shape?.roles ?? {}).flatMap(([name, declared]) =>
        claimName(reading, source, 'role', name, ['roles', name]) ? [compileRole(name, declared ?? {})] : [],
      ),
    ),
    queues,
    ...formerQueues(queues, knownQueues),
  };
}

/** Queues that were declared once and are not any more. They never become labels, or whoever holds `approval.decide` would decide. */
export function formerQueues(
  queues: PolicySet['queues'],
  known: readonly string[],
): Pick<PolicySet, 'formerQueues'> {
  const former = known.filter((name) => !queues.some((queue) => queue.name === name));
  return former.length === 0 ? {} : { formerQueues: [...new Set(former)].sort() };
}

/** Names of the queues that it declares, and of those that were declared before. */
export function knownQueues(policySet: Pick<PolicySet, 'queues' | 'formerQueues'> | null): readonly string[] {
  return [...(policySet?.queues ?? []).map(({ name }) => name), ...(policySet?.formerQueues ?? [])];
}

/** Environments that were declared once and are not any more: runs under way there keep the floors that they began under. */
export function formerEnvironments(
  environments: PolicySet['environments'],
  before: Pick<PolicySet, 'environments' | 'formerEnvironments'> | null,
): Pick<PolicySet, 'formerEnvironments'> {
  const known = [...(before?.environments ?? []), ...(before?.formerEnvironments ?? [])];
  const former = known.filter(({ name }) => !environments.some((entry) => entry.name === name));
  return former.length === 0 ? {} : { formerEnvironments: former };
}

function compileRole(
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

function compileEnvironment(
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
