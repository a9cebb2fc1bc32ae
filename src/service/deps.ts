import type { Payloads, ServiceChain } from '../audit/index.js';
import type { RunClient } from '../client/types.js';
import type { Pool, Tx } from '../db/index.js';
import type { ReferenceSource } from '../executors/types.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { NewSigningKey } from '../store/people/signing-keys.js';
import type { Policies } from './flows/policies.js';

/** Environments as namespaces of Temporal that workers poll: a reload may add one. */
export interface Engines {
  /** Whether a run can start there. Makes the namespace where it is missing, and gives false until it can be used. */
  isReady(environment: string): Promise<boolean>;
  /** Those of `environments` that no worker polls. */
  unserved(environments: readonly string[]): Promise<readonly string[]>;
}

/** What the use cases need. The composition root passes it; tests pass their own. */
export interface ServiceDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly payloads: Payloads;
  readonly chain: ServiceChain;
  readonly client: RunClient;
  readonly engines: Engines;
  readonly policies: Policies;
  /** The key under which API keys and links are hashed. */
  readonly pepper: Buffer;
  /** Makes a signing key, its private half sealed for the service's processes. */
  readonly makeSigningKey: () => NewSigningKey;
  /** The store has the private half of this signing key, and it does not open in this process. */
  readonly isSigningKeyUnopened: (key: NewSigningKey) => boolean;
  /** Resolves `env://` and `secret://` in notification channels. */
  readonly references: ReferenceSource;
  /** The store's clock, so that people see a deadline as passed exactly when the store does. */
  readonly now: () => Date;
  readonly onInternalError: OnInternalError;
}
