import type { ConnectionLike } from '@temporalio/client';
import type { ServiceKeys } from '../auth/keys.js';
import { makePool, withTransaction, type Pool } from '../db/index.js';
import { namespaceOf } from '../model/temporal-names.js';
import type { PolicySet } from '../model/policy-set.js';
import { getSigningKey } from '../store/signing-keys.js';
import {
  areSameHomes,
  claimTemporal,
  isSameHome,
  lockTemporalHome,
  storeIdentity,
  temporalHomes,
  type Take,
} from '../store/temporal-home.js';
import { makeStoreOwnership, type StoreOwnership } from './store-ownership.js';
import type { Config } from './config.js';
import { askInTime, namespaceIdOf } from './namespace-id.js';
import { isWorkedFor, queueHolder } from './queue-holder.js';
import type { HomeStore } from './store-owner.js';

// Of API and worker: is the store that it was given its deployment's?

interface Given {
  readonly config: Config;
  readonly keys: Pick<ServiceKeys, 'signing'>;
  readonly temporal: ConnectionLike;
}

type Say = (line: string) => void;

export function storeOwnershipOf({ config, keys, temporal }: Given, pool: Pool, say: Say): StoreOwnership {
  const { taskQueue, ownServers, ownTemporal } = config;
  const deployment = {
    store: homeStoreOf(pool),
    address: config.temporal?.address ?? '',
    signingKey: keys.signing.keyId,
    taskQueue,
    namespaceId: (namespace: string) => askInTime(temporal, () => namespaceIdOf(temporal, namespace)),
    queueHolder: (namespace: string, own: string, take: Take) =>
      askInTime(temporal, () => queueHolder(temporal, { namespace, taskQueue }, own, take)),
    ownTemporal,
    alone: ownServers,
  };
  return makeStoreOwnership(deployment, say);
}

/**
 * Whether another queue than this deployment's is worked for another one with a copy of this store. None is in a Temporal of this
 * process's data folder, in which only this deployment works, whatever its queue was called before.
 */
export function makeCopyFinder(
  { config, temporal }: Pick<Given, 'config' | 'temporal'>,
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
      // A home that was given away since it was seen is not taken back.
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

/** Before the store is migrated, and anything is written to it. Throws `ForeignStore`. */
export async function assertOurs(given: Given, url: string, say: Say): Promise<void> {
  const pool = makePool({ url, applicationName: 'countersign api', max: 1 });
  try {
    await waitUntilOurs(storeOwnershipOf(given, pool, say), say);
  } finally {
    await pool.end();
  }
}

/**
 * Takes a store that is nobody's for this deployment: of two that come at one instant, one has it, and only that one's
 * policies come into force. Throws `ForeignStore`.
 */
export async function takeStore(
  { take }: Pick<StoreOwnership, 'take'>,
  { environments }: PolicySet,
): Promise<void> {
  const owner = await take(environments.map(({ name }) => namespaceOf(name)));
  if (owner.status === 'foreign') throw new ForeignStore(owner.message);
}

/**
 * Ends once this process may write to the store: nothing of another deployment's is migrated, reloaded or signed. Where
 * Temporal does not say whose the store is, it is waited for. Throws `ForeignStore`.
 */
export async function waitUntilOurs({ owner }: Pick<StoreOwnership, 'owner'>, say: Say): Promise<void> {
  for (let said = false; ; said = true) {
    const found = await owner();
    if (found.status === 'ours') return;
    if (found.status === 'foreign') throw new ForeignStore(found.message);
    if (!said)
      say(
        `waiting for Temporal (${found.why}) to say whether this store is of this deployment: nothing is written to it before`,
      );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** For the operator; it ends the process. */
export class ForeignStore extends Error {
  override readonly name = 'ForeignStore';
}
