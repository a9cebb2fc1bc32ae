import type pg from 'pg';
import { isUnavailable } from './unavailable.js';

/** The role that owns tables and triggers; nobody logs in as it. */
export const ownerRole = 'countersign_owner';
/** The role that the processes work as. */
export const applicationRole = 'countersign_app';

/** Error codes when another process makes the same role at the same time; roles are shared by all databases of a cluster. */
const racingCodes = new Set(['42710', '23505', 'XX000', '40001', '40P01']);
const notAllowedCode = '42501';

/** A condition on `pg_roles`: this login may SET ROLE to it. Since Postgres 16 that is a kind of membership of its own. */
export const canTake = `pg_has_role(session_user, oid, case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end)`;

/**
 * Makes the roles and lets this login take them, if it may. If it may not, the product works as the login itself, and only the
 * triggers protect the record; the returned notices say so.
 */
export async function ensureRoles(client: pg.Client): Promise<string[]> {
  const notices: string[] = [];
  for (const role of [ownerRole, applicationRole]) {
    const notice = await ensureRole(client, role);
    if (notice !== null) notices.push(notice);
  }
  return notices;
}

async function ensureRole(client: pg.Client, role: string): Promise<string | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const state = await roleState(client, role);
      if (state === 'missing') await client.query(`create role ${role} nologin`);
      else if (state === 'not_member') await client.query(`grant ${role} to current_user`);
      else return null;
    } catch (error) {
      const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === notAllowedCode)
        return `this login may not make or take the role \`${role}\`: ask a superuser for \`create role ${role} nologin; grant ${role} to <login>\``;
      if (typeof code !== 'string' || !racingCodes.has(code) || isUnavailable(error) || attempt >= 50)
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 * Math.min(attempt, 10)));
    }
  }
}

async function roleState(client: pg.Client, role: string): Promise<'missing' | 'not_member' | 'member'> {
  const { rows } = await client.query<{ member: boolean }>(
    `select ${canTake} as member from pg_roles where rolname = $1`,
    [role],
  );
  const found = rows[0];
  if (found === undefined) return 'missing';
  return found.member ? 'member' : 'not_member';
}

/**
 * Whether the tables can belong to the owner role: this login must be able to take the role, the role must be able to make tables
 * in this schema, and tables of earlier migrations must not belong to somebody else.
 */
export async function canOwn(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ creates: boolean; grants: boolean }>(
    `select has_schema_privilege(r.oid, n.oid, 'create') as creates, pg_has_role(session_user, n.nspowner, 'usage') as grants
       from (select oid from pg_roles where rolname = $1 and ${canTake}) r, pg_namespace n
      where n.nspname = current_schema()
        and not exists (select 1 from pg_class where oid = to_regclass('schema_migration') and relowner <> r.oid)`,
    [ownerRole],
  );
  const found = rows[0];
  if (found === undefined) return false;
  if (found.creates) return true;
  if (!found.grants) return false;
  await client.query(
    `do $$ begin execute format('grant usage, create on schema %I to ${ownerRole}', current_schema()); end $$`,
  );
  return true;
}
