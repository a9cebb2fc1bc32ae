import pg from 'pg';

export interface Held {
  someoneWaits(): Promise<boolean>;
  /** Counts also those that wait behind somebody who waits. */
  waiting(): Promise<number>;
  release(): Promise<void>;
}

/**
 * Locks the row of a run. The run's next policy check then waits inside its transaction, and the API waits before it stores a
 * message. Other tests may lock other runs meanwhile.
 */
export function holdRun(databaseUrl: string, run: string): Promise<Held> {
  return hold(databaseUrl, 'select 1 from run where id = $1 for no key update', [run]);
}

/** Locks a table: whoever writes to it waits, and whoever reads does not. It has the lock once nobody else writes. */
export function holdTable(databaseUrl: string, table: string): Promise<Held> {
  return hold(databaseUrl, `lock table ${table} in exclusive mode`);
}

async function hold(databaseUrl: string, statement: string, values: unknown[] = []): Promise<Held> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(statement, values);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const watcher = new pg.Client({ connectionString: databaseUrl });
  await watcher.connect();
  const waiting = async (): Promise<number> => {
    const { rowCount } = await watcher.query(
      `with recursive waiter (pid) as (
         select pid from pg_stat_activity where $1 = any(pg_blocking_pids(pid))
         union select a.pid from pg_stat_activity a join waiter w on w.pid = any(pg_blocking_pids(a.pid)))
       select 1 from waiter`,
      [rows[0]?.pid],
    );
    return rowCount ?? 0;
  };
  return {
    waiting,
    someoneWaits: async () => (await waiting()) > 0,
    release: async () => {
      await client.query('commit');
      await Promise.all([client.end(), watcher.end()]);
    },
  };
}
