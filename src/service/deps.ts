import type { Payloads, ServiceChain } from '../audit/index.js';
import type { RunClient } from '../client/types.js';
import type { Pool, Tx } from '../db/index.js';
import type { ReferenceSource } from '../executors/types.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { NewSigningKey } from '../store/signing-keys.js';
import type { Policies } from './flows/policies.js';

/** Environments as namespaces of Temporal that workers poll: a reload may add one. */
export interface Engines {
  /** Can a run start there? Makes the namespace where it is not there yet, and says no until it can be used. */
  isReady(environment: string): Promise<boolean>;
  /** Of these, the environments that no worker polls. */
  unserved(environments: readonly string[]): Promise<readonly string[]>;
}

/** What the use cases stand on. The composition root gives it; tests give their own. */
export interface ServiceDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly payloads: Payloads;
  readonly chain: ServiceChain;
  readonly client: RunClient;
  readonly engines: Engines;
  readonly policies: Policies;
  /** Under which API keys, and links, are hashed. */
  readonly pepper: Buffer;
  /** A key to sign with, its private half sealed for the service's processes. */
  readonly makeSigningKey: () => NewSigningKey;
  /** For `env://` and `secret://` of channels. */
  readonly references: ReferenceSource;
  /** The store's clock: what is over for a person is what the store says is over. */
  readonly now: () => Date;
  readonly onInternalError: OnInternalError;
}
