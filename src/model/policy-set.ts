import type { JsonObject } from './json.js';
import type { NotificationPolicy } from './notifications.js';

/** What the policies folder declares besides flows. Plain JSON, stored whole in Postgres by hash. */
export interface PolicySet {
  readonly v: 1;
  /** Absolute: what relative `workingDirectory` values and child processes start from. */
  readonly baseDirectory: string;
  readonly connections: readonly ConnectionEntry[];
  readonly environments: readonly EnvironmentEntry[];
  /** As they were declared last, of those that are not any more: what runs under way there are held to. Absent: none. */
  readonly formerEnvironments?: readonly EnvironmentEntry[];
  readonly roles: readonly RoleEntry[];
  readonly queues: readonly { readonly name: string; readonly roles: readonly string[] }[];
  /** Names of queues that were declared once and are not any more: no labels, they open to nobody. Absent: none. */
  readonly formerQueues?: readonly string[];
  /** Absent: nobody is told, and each approval says so. */
  readonly notifications?: NotificationPolicy;
}

/** Of a flow that names none, and of a start that names none where the flow is there. */
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

/** What its kind has declared, as plain JSON: `src/executors` has a folder for each kind. References in it are resolved when used. */
export type Connection = JsonObject & { readonly kind: string };

export interface EnvironmentEntry {
  readonly name: string;
  /** An exposed tool or inline executor without a tier is an error here. */
  readonly requireTiers: boolean;
  /** Warnings refuse publishing here. */
  readonly refuseWarnings: boolean;
  /** Default deadline of a gate, milliseconds; 72 hours where the file says nothing. */
  readonly gateTimeoutMs: number;
  /** Batches may hold irreversible actions, and those of no tier; absent: they are decided one by one. */
  readonly batchIrreversible?: boolean;
  /** Gates under every effect of these tiers, whatever its author wrote. */
  readonly floors?: readonly FloorEntry[];
}

/** A gate of the engine, without a condition; the tiers that it is for. */
export interface FloorEntry {
  readonly tiers: readonly ('read_only' | 'reversible' | 'irreversible' | 'none')[];
  readonly roles: readonly string[];
  readonly queue: string | null;
  readonly quorum: {
    readonly count: number;
    readonly perRole: readonly { readonly role: string; readonly count: number }[];
  };
  readonly separation: {
    readonly requester: boolean;
    readonly author: boolean;
    readonly promoter: boolean;
    readonly approvers?: boolean;
  };
  readonly reason: 'required' | 'optional';
  readonly direct?: 'required';
  readonly timeout: FloorTimeout | null;
  readonly reminders?: readonly number[];
}

export interface FloorTimeout {
  readonly afterMs: number;
  readonly action: 'deny' | 'escalate' | 'approve';
  readonly to: readonly string[];
  readonly atMs?: number;
  readonly hours?: 'business';
  readonly then?: FloorTimeout;
}

export const defaultGateTimeoutMs = 72 * 3_600_000;

/** As it is declared, else as it was last; null: nothing is known of it. */
export function environmentOf(
  { environments, formerEnvironments = [] }: Pick<PolicySet, 'environments' | 'formerEnvironments'>,
  name: string,
): EnvironmentEntry | null {
  return [...environments, ...formerEnvironments].find((one) => one.name === name) ?? null;
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

/** The service's own keys: a connection that could send them away would end every promise. */
export const reservedVariables: ReadonlySet<string> = new Set([
  'COUNTERSIGN_SIGNING_KEY',
  'COUNTERSIGN_KEK',
  'COUNTERSIGN_PEPPER',
]);
