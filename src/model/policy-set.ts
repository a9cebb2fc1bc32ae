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

/** `headers` and `env` values may each be one `env://NAME` or `secret://name` reference as a whole, an address one `env://NAME`; resolved when used. */
export type Connection =
  | {
      readonly kind: 'rest';
      readonly baseUrl: string;
      readonly allowPrivate: boolean;
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'mcp';
      readonly transport:
        | {
            readonly kind: 'stdio';
            readonly command: string;
            readonly args: readonly string[];
            readonly env: Readonly<Record<string, string>>;
            readonly workingDirectory: string | null;
          }
        | {
            readonly kind: 'http';
            readonly url: string;
            readonly allowPrivate: boolean;
            readonly headers: Readonly<Record<string, string>>;
          };
    }
  | {
      readonly kind: 'cli';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly workingDirectory: string | null;
    };

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

/** The headers of a REST connection that are written as they are: what a reference holds is known when it is resolved. */
export function writtenHeaders(
  policySet: PolicySet,
  name: string,
  environment: string,
): readonly (readonly [name: string, value: string])[] {
  const found = resolveConnection(policySet, name, environment);
  if (found?.kind !== 'rest') return [];
  return Object.entries(found.headers).filter(([, value]) => !/^(?:env|secret):\/\//.test(value));
}

/** The service's own keys: a connection that could send them away would end every promise. */
export const reservedVariables: ReadonlySet<string> = new Set([
  'COUNTERSIGN_SIGNING_KEY',
  'COUNTERSIGN_KEK',
  'COUNTERSIGN_PEPPER',
]);

/**
 * The connection with the address that its `env://` stands for, so that a digest of it binds the address itself; the same
 * of its command's `PATH`. Headers and other `env` stay references. A variable that is not set stays one too, which the call then refuses.
 */
export function withAddress(
  connection: Connection,
  variables: Readonly<Record<string, string | undefined>>,
): Connection {
  const address = (text: string): string => {
    const name = text.startsWith('env://') ? text.slice('env://'.length) : '';
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    return value === undefined || value === '' || reservedVariables.has(name) ? text : value;
  };
  const withPath = <T extends { readonly env: Readonly<Record<string, string>> }>(one: T): T => {
    const path = one.env['PATH'];
    return path === undefined ? one : { ...one, env: { ...one.env, PATH: address(path) } };
  };
  if (connection.kind === 'rest') return { ...connection, baseUrl: address(connection.baseUrl) };
  if (connection.kind === 'cli') return withPath(connection);
  const { transport } = connection;
  if (transport.kind === 'stdio') return { ...connection, transport: withPath(transport) };
  return { ...connection, transport: { ...transport, url: address(transport.url) } };
}
