import pg from 'pg';
import { connectTimeoutMs } from './pool.js';
import { isUnavailable } from './unavailable.js';

/** How often two connections are compared: a pooler chooses any that is idle. */
const rounds = 8;

/**
 * Refuses a pooler that pools by transaction: behind it, what a connection has set, prepared, locked or listens to belongs to
 * whoever comes next. It is known by two connections that are served by the same one of Postgres, or one by several. Where the
 * second cannot be had, as where there is only one, nothing is said.
 */
export async function refuseTransactionPooler(url: string, client: pg.Client): Promise<void> {
  const beside = new pg.Client({
    connectionString: url,
    application_name: 'countersign-connects',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: connectTimeoutMs,
  });
  beside.on('error', () => undefined);
  const [own, others] = [new Set<number>(), new Set<number>()];
  try {
    await beside.connect();
    for (let round = 0; round < rounds; round += 1) {
      // Twice, so that a pooler that deals in turn does not give each connection the same one every time.
      own.add(await readBackend(client));
      own.add(await readBackend(client));
      others.add(await readBackend(beside));
    }
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return;
  } finally {
    // Its server may never answer: nobody waits for that.
    void beside.end().catch(() => undefined);
  }
  if (own.size > 1 || others.size > 1 || [...own].some((backend) => others.has(backend)))
    throw new Error(
      'the pooler in front of this Postgres pools by transaction, and each connection of the service has to be its own (for LISTEN, prepared statements and advisory locks): have it pool by session, or give DATABASE_URL the address of Postgres itself; nothing was changed',
    );
}

async function readBackend(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ backend: number }>('select pg_backend_pid() as backend');
  return rows[0]?.backend ?? 0;
}
