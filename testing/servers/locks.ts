import pg from 'pg';

/**
 * Holds the row of a run, so that its next policy check waits inside its transaction, and so does the API before it keeps
 * a message. Others may hold other runs.
 */
export async function holdRun(
  databaseUrl: string,
  run: string,
): Promise<{ someoneWaits(): Promise<boolean>; waiting(): Promise<number>; release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query('select 1 from run where id = $1 for no key update', [run]);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const watcher = new pg.Client({ connectionString: databaseUrl });
  await watcher.connect();
  /** Also those that wait behind somebody who waits. */
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
