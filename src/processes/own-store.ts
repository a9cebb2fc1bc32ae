import type { Connection } from '@temporalio/client';
import type { ServiceKeys } from '../auth/keys.js';
import { makePool, type Pool } from '../db/index.js';
import type { Config } from './config.js';
import { makeBelonging, namespaceIdInTime, waitUntilOurs, type Belonging } from './temporal-home.js';

// Of the API: is the store that it was given its deployment's?

interface Given {
  readonly config: Config;
  readonly keys: Pick<ServiceKeys, 'signing'>;
  readonly temporal: Connection;
}

type Say = (line: string) => void;

export function belongingOf({ config, keys, temporal }: Given, store: Pool, say: Say): Belonging {
  return makeBelonging({
    ...{ store, taskQueue: config.taskQueue, alone: config.ownServers, onForeign: say },
    address: config.temporal?.address ?? '',
    signingKey: keys.signing.keyId,
    namespaceId: (namespace) => namespaceIdInTime(temporal, namespace),
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
