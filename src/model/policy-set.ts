import type { NotificationPolicy } from './notifications.js';

/** What the policies folder declares besides flows. Plain JSON, stored whole in Postgres by hash. */
export interface PolicySet {
  readonly v: 1;
  /** Absolute: what relative `workingDirectory` values and child processes start from. */
  readonly baseDirectory: string;
  readonly connections: readonly ConnectionEntry[];
  readonly environments: readonly EnvironmentEntry[];
  readonly roles: readonly { readonly name: string; readonly permissions: readonly string[] }[];
  readonly queues: readonly { readonly name: string; readonly roles: readonly string[] }[];
  /** Absent: nobody is told, and each approval says so. */
  readonly notifications?: NotificationPolicy;
}

export interface ConnectionEntry {
  readonly name: string;
  /** One entry per environment, or a single one with `environment: null` that serves all. */
  readonly targets: readonly { readonly environment: string | null; readonly connection: Connection }[];
}

/** Values may be one `env://NAME` or `secret://name` reference as a whole; resolved when used. */
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
}

export const defaultGateTimeoutMs = 72 * 3_600_000;
