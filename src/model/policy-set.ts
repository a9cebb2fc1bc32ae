import type { JsonObject } from './values/json.js';
import type { NotificationPolicy } from './contract/notifications.js';
import type { GateRule } from './gate-rule.js';

/** What the policies folder declares besides flows. Plain JSON, stored whole in Postgres by hash. */
export interface PolicySet {
  readonly v: 1;
  /** Absolute: what relative `workingDirectory` values and child processes start from. */
  readonly baseDirectory: string;
  readonly connections: readonly ConnectionEntry[];
  readonly environments: readonly EnvironmentEntry[];
  /** Environments that are no longer declared, as they were last: open runs in them are still bound by them. Absent: none. */
  readonly formerEnvironments?: readonly EnvironmentEntry[];
  readonly roles: readonly RoleEntry[];
  readonly queues: readonly { readonly name: string; readonly roles: readonly string[] }[];
  /** Names of queues that are no longer declared. Such a name does not count as a mere label; its queue is open to nobody. Absent: none. */
  readonly formerQueues?: readonly string[];
  /** Absent: nobody is told, and each approval says so. */
  readonly notifications?: NotificationPolicy;
}

/** The environment of a flow that names none, and of a start that names none if the flow is in this environment. */
export const defaultEnvironment = 'dev';

export interface RoleEntry {
  readonly name: string;
  readonly permissions: readonly string[];
  /** When its holders work; absent: at all hours. */
  readonly hours?: BusinessHours;
}

export interface BusinessHours {
  /** IANA name: `Europe/Berlin`. */
  readonly zone: string;
  /** 1 is Monday, 7 Sunday. */
  readonly days: readonly number[];
  /** Minutes from midnight, local time; `to` is at most 1,440. */
  readonly from: number;
  readonly to: number;
}

export interface ConnectionEntry {
  readonly name: string;
  /** One entry per environment, or a single one with `environment: null` that serves all. */
  readonly targets: readonly { readonly environment: string | null; readonly connection: Connection }[];
}

/** A connection as its kind declares it, as plain JSON; `src/executors` has a folder for each kind. References are resolved when used. */
export type Connection = JsonObject & { readonly kind: string };

export interface EnvironmentEntry {
  readonly name: string;
  /** An exposed tool or inline executor without a tier is an error here. */
  readonly requireTiers: boolean;
  /** Flows with warnings cannot be published here. */
  readonly refuseWarnings: boolean;
  /** Default deadline of a gate, milliseconds; 72 hours where the file says nothing. */
  readonly gateTimeoutMs: number;
  /** Batches may decide irreversible actions and actions without a tier; absent: these are decided one by one. */
  readonly batchIrreversible?: boolean;
  /** Gates that apply to every effect of their tiers, whatever the flow's author wrote. */
  readonly floors?: readonly FloorEntry[];
}

/** A gate without a condition, and the tiers that it applies to. */
export interface FloorEntry extends GateRule {
  readonly tiers: readonly ('read_only' | 'reversible' | 'irreversible' | 'none')[];
}

export const defaultGateTimeoutMs = 72 * 3_600_000;

/** The environment as it is declared, else as it was last declared; null: it never was. */
export function environmentOf(
  { environments, formerEnvironments = [] }: Pick<PolicySet, 'environments' | 'formerEnvironments'>,
  name: string,
): EnvironmentEntry | null {
  return [...environments, ...formerEnvironments].find((entry) => entry.name === name) ?? null;
}

/** The target for an environment: its own, else the one that serves all; null where there is none. */
export function resolveConnection(
  policySet: PolicySet,
  name: string,
  environment: string,
): Connection | null {
  const targets = policySet.connections.find((entry) => entry.name === name)?.targets ?? [];
  const own = targets.find((target) => target.environment === environment);
  return (own ?? targets.find((target) => target.environment === null))?.connection ?? null;
}

/** The variables of the service's own keys. A connection that could send them away would break every promise. */
export const reservedVariables: ReadonlySet<string> = new Set([
  'COUNTERSIGN_SIGNING_KEY',
  'COUNTERSIGN_KEK',
  'COUNTERSIGN_PEPPER',
]);
