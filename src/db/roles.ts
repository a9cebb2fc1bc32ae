import pg from 'pg';
import { appRole } from './pool.js';

/** Raced by another migrator, of this database or another one on the server. */
const raced = new Set(['42710', '23505', 'XX000', '40001']);
const forbidden = '42501';

/**
 * The app role may insert into the log and read it, nothing else. Roles belong to the whole server,
 * so others may be making it now. Where this login may not make roles, the triggers alone protect.
 */
export async function prepareRoles(client: pg.Client): Promise<string[]> {
  const notices: string[] = [];
  for (const statement of [`create role ${appRole} nologin`, `grant ${appRole} to current_user`]) {
    try {
      if (statement.startsWith('create') && (await exists(client))) continue;
      await client.query(statement);
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
      if (raced.has(code)) continue;
      if (code !== forbidden) throw error;
      notices.push(`this login may not \`${statement}\`: the log is protected by its triggers alone`);
    }
  }
  return notices;
}

async function exists(client: pg.Client): Promise<boolean> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [appRole]);
  return rowCount === 1;
}
