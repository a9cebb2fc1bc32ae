import pg from 'pg';

// Puts the rows of a run back to an earlier moment, as a restore of the store would.

/** The tables, each with the column that names the run. */
const tables = [
  ...[['run', 'id'] as const, ['run_step', 'run'] as const, ['evidence', 'run'] as const],
  ...[['action', 'run'] as const, ['approval', 'run'] as const, ['decision', 'run'] as const],
  ...[['execution_grant', 'run'] as const, ['message', 'run'] as const],
  ...[['audit_chain', 'chain'] as const, ['audit_record', 'chain'] as const],
];

/** Remembers the run's rows as they are now. Gives a function that puts them back. */
export async function rememberRun(databaseUrl: string, run: string): Promise<() => Promise<void>> {
  const saved = await withClient(databaseUrl, async (client) => {
    const found = new Map<string, string>();
    for (const [table, column] of tables) {
      const { rows } = await client.query<{ rows: string }>(
        `select coalesce(json_agg(t), '[]')::text as rows from ${table} t where ${column} = $1`,
        [run],
      );
      found.set(table, rows[0]?.rows ?? '[]');
    }
    return found;
  });
  return () =>
    withClient(databaseUrl, async (client) => {
      await client.query('begin');
      // Triggers and foreign keys are off, as they have no part in a restore.
      await client.query('set local session_replication_role = replica');
      const guards = await client.query<{ table: string; trigger: string }>(
        `select tgrelid::regclass::text as table, quote_ident(tgname) as trigger from pg_trigger where tgenabled = 'A'`,
      );
      for (const { table, trigger } of guards.rows)
        await client.query(`alter table ${table} disable trigger ${trigger}`);
      await client.query(
        'delete from audit_pending where seq in (select seq from audit_record where chain = $1)',
        [run],
      );
      for (const [table, column] of tables) {
        await client.query(`delete from ${table} where ${column} = $1`, [run]);
        await client.query(
          `insert into ${table} overriding system value select * from json_populate_recordset(null::${table}, $1::json)`,
          [saved.get(table)],
        );
      }
      await client.query(
        `insert into audit_pending select seq from audit_record r
          where chain = $1 and not exists (select from audit_log l where l.seq = r.seq)`,
        [run],
      );
      for (const { table, trigger } of guards.rows)
        await client.query(`alter table ${table} enable always trigger ${trigger}`);
      await client.query('commit');
    });
}

async function withClient<T>(url: string, act: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}
