import type { ConnectionLike } from '@temporalio/client';
import type { ServiceKeys } from '../../auth/keys.js';
import { makePool, withTransaction, type Pool } from '../../db/index.js';
import { namespaceOf } from '../../model/names/temporal-names.js';
import type { PolicySet } from '../../model/policy-set.js';
import { getSigningKey } from '../../store/people/signing-keys.js';
import {
  areSameHomes,
  claimTemporal,
  isSameHome,
  lockTemporalHome,
  storeIdentity,
  temporalHomes,
  type Take,
} from '../../store/processes/temporal-home.js';
import { makeStoreOwnership, type StoreOwnership } from './store-ownership.js';
import type { Config } from '../settings/config.js';
import { askInTime, namespaceIdOf } from './namespace-id.js';
import { isWorkedFor, takeQueue } from './queue-holder.js';
import type { HomeStore } from './store-owner.js';

// For API and worker: does the store that a process was given belong to its deployment?

interface ProcessSettings {
  readonly config: Config;
  readonly keys: Pick<ServiceKeys, 'signing'>;
  readonly temporal: ConnectionLike;
}

type Say = (line: string) => void;

export function openStoreOwnership(
  { config, keys, temporal }: ProcessSettings,
  pool: Pool,
  say: Say,
): StoreOwnership {
  const { taskQueue, ownServers, ownTemporal } = config;
  const deployment = {
    store: homeStoreOf(pool),
    address: config.temporal?.address ?? '',
    signingKey: keys.signing.keyId,
    taskQueue,
    namespaceId: (namespace: string) => askInTime(temporal, () => namespaceIdOf(temporal, namespace)),
    queueHolder: (namespace: string, own: string, take: Take) =>
      askInTime(temporal, () => takeQueue(temporal, { namespace, taskQueue }, own, take)),
    ownTemporal,
    alone: ownServers,
  };
  return makeStoreOwnership(deployment, say);
}

/**
 * A function that says whether a queue other than this deployment's is worked for a deployment with a copy of this store. Never in
 * a Temporal of this process's own data folder, where only this deployment works, whatever its queue was called before.
 */
export function makeCopyFinder(
  { config, temporal }: Pick<ProcessSettings, 'config' | 'temporal'>,
  pool: Pool,
): (namespace: string, taskQueue: string) => Promise<boolean> {
  return async (namespace, taskQueue) =>
    !config.ownTemporal && isWorkedFor(temporal, { namespace, taskQueue }, await storeIdentity(pool));
}

export function homeStoreOf(pool: Pool): HomeStore {
  return {
    homes: () => temporalHomes(pool),
    hasSigningKey: async (keyId) => (await getSigningKey(pool, keyId)) !== null,
    identity: () => storeIdentity(pool),
    take: async (mine, take, seen) => {
      if (take !== 'where free') return claimTemporal(pool, mine, take);
      // Not taken back where it was given away since it was seen.
      if (seen.some((home) => isSameHome(home, mine)))
        return (await claimTemporal(pool, mine, 'never')) ?? 'changed';
      return withTransaction(pool, async (tx) => {
        await lockTemporalHome(tx);
        if (!areSameHomes(await temporalHomes(tx), seen)) return 'changed';
        return claimTemporal(tx, mine, take);
      });
    },
  };
}

/** Waits until this process may write to the store. Called before the store is migrated. Throws `ForeignStore`. */
export async function assertOurs(given: ProcessSettings, url: string, say: Say): Promise<void> {
  const pool = makePool({ url, applicationName: 'countersign api', max: 1 });
  try {
    await waitUntilOurs(openStoreOwnership(given, pool, say), given.config.temporal?.address, say);
  } finally {
    await pool.end();
  }
}

/**
 * Takes a store that is nobody's for this deployment. Of two deployments that come at the same instant only one gets it, and only
 * its policies come into force. Throws `ForeignStore`.
 */
export async function takeStore(
  { take }: Pick<StoreOwnership, 'take'>,
  { environments }: PolicySet,
): Promise<void> {
  const owner = await take(environments.map(({ name }) => namespaceOf(name)));
  if (owner.status === 'foreign') throw new ForeignStore(owner.message);
}

/**
 * Ends once this process may write to the store, so that nothing of another deployment is migrated, reloaded or signed. Waits for
 * Temporal where it does not say whose the store is. Throws `ForeignStore`.
 */
export async function waitUntilOurs(
  { owner }: Pick<StoreOwnership, 'owner'>,
  address: string | undefined,
  say: Say,
): Promise<void> {
  for (let said = false; ; said = true) {
    const found = await owner();
    if (found.status === 'ours') return;
    if (found.status === 'foreign') throw new ForeignStore(found.message);
    if (!said)
      say(
        `waiting for Temporal (at \`${address ?? ''}\`, TEMPORAL_ADDRESS: ${found.why}) to say whether this store is of this deployment: nothing is written to it before`,
      );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** The store belongs to another deployment: the message is for the operator, and the process ends. */
export class ForeignStore extends Error {
  override readonly name = 'ForeignStore';
}
