import type { Payloads, ServiceChain } from '../audit/index.js';
import type { Authenticator, Sessions } from '../auth/index.js';
import type { RunClient } from '../client/types.js';
import type { Pool, Tx } from '../db/index.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { ReferenceSource } from '../executors/types.js';
import type { NewSigningKey } from '../store/signing-keys.js';
import type { Anonymous } from './http/anonymous.js';
import type { Feed } from './runs/feed.js';
import type { Metrics } from './metrics/metrics.js';
import type { Policies } from './flows/policies.js';

/** Environments as namespaces of Temporal that workers poll: a reload may add one. */
export interface Engines {
  /** Can a run start there? Makes the namespace where it is not there yet, and says no until it can be used. */
  isReady(environment: string): Promise<boolean>;
  /** Of these, the environments that no worker polls. */
  unserved(environments: readonly string[]): Promise<readonly string[]>;
}

/** What the API stands on. The composition root gives it; tests give their own. */
export interface ApiDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  /** Is the audit store down? */
  readonly isUnavailable: (error: unknown) => boolean;
  readonly payloads: Payloads;
  readonly chain: ServiceChain;
  readonly client: RunClient;
  readonly engines: Engines;
  readonly authenticate: Authenticator;
  /** Under which API keys are hashed. */
  readonly pepper: Buffer;
  /** AES-256 key under which answers to idempotent requests are kept: one of them may hold a new API key. */
  readonly answerKey: Buffer;
  readonly sessions: Sessions;
  /** What verifies webhooks of `signing: ed25519`: `whpk_<base64>`. */
  readonly webhookKey: string;
  /** A key to sign with, its private half sealed for the service's processes. */
  readonly makeSigningKey: () => NewSigningKey;
  readonly policies: Policies;
  readonly feed: Feed;
  /** Counts requests without a credential. */
  readonly anonymous: Anonymous;
  readonly metrics: Metrics;
  /** For `env://` and `secret://` of channels whose requests come in here. */
  readonly references: ReferenceSource;
  /** The store's clock: what is over for a person is what the store says is over. */
  readonly now: () => Date;
  readonly log: (line: string) => void;
  readonly onInternalError: OnInternalError;
}
