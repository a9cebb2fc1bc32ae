import type { Connection } from '@temporalio/client';
import type { ServiceKeys } from '../auth/keys.js';
import { makePool, withTransaction, type Pool } from '../db/index.js';
import { namespaceOf } from '../embedded/temporal/names.js';
import type { PolicySet } from '../model/policy-set.js';
import { lockTemporalHome, temporalHomes } from '../store/temporal-home.js';
import type { Config } from './config.js';
import { queueHolder } from './queue-holder.js';
import {
  ForeignStore,
  inTime,
  makeBelonging,
  namespaceIdInTime,
  waitUntilOurs,
  type Belonging,
} from './temporal-home.js';

// Of the API: is the store that it was given its deployment's?

interface Given {
  readonly config: Config;
  readonly keys: Pick<ServiceKeys, 'signing'>;
  readonly temporal: Connection;
}

type Say = (line: string) => void;

export function belongingOf({ config, keys, temporal }: Given, store: Pool, say: Say): Belonging {
  return makeBelonging({
    ...{
      store,
      taskQueue: config.taskQueue,
      alone: config.ownServers,
      ownTemporal: config.ownTemporal,
      onForeign: say,
    },
    address: config.temporal?.address ?? '',
    signingKey: keys.signing.keyId,
    namespaceId: (namespace) => namespaceIdInTime(temporal, namespace),
    queueHolder: (namespace, own, take) =>
      inTime(temporal, () => queueHolder(temporal, { namespace, taskQueue: config.taskQueue }, own, take)),
  });
}

/** Before the store is migrated, and anything is written to it. Throws `ForeignStore`. */
export async function assertOurs(given: Given, url: string, say: Say): Promise<void> {
  const pool = makePool({ url, applicationName: 'countersign api', max: 1 });
  try {
    await waitUntilOurs(belongingOf(given, pool, say), say);
  } finally {
    await pool.end();
  }
}

/**
 * Takes a store that is nobody's for this deployment: of two that come at one instant, one has it, and only that one's
 * policies come into force. Throws `ForeignStore`.
 */
export async function takeStore(
  pool: Pool,
  { trouble }: Pick<Belonging, 'trouble'>,
  { environments }: PolicySet,
): Promise<void> {
  const namespaces = environments.map(({ name }) => namespaceOf(name));
  // What has a home has nothing to take: nobody waits for anybody.
  const hasHome = (await temporalHomes(pool)).length > 0;
  const message = hasHome
    ? await trouble(namespaces)
    : await withTransaction(pool, async (tx) => {
        await lockTemporalHome(tx);
        return trouble(namespaces);
      });
  if (message !== null) throw new ForeignStore(message);
}
