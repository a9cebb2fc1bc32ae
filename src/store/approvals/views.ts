import type { JsonObject } from '../../model/values/json.js';
import type { Queryable } from '../../db/index.js';
import { withoutNul } from '../text.js';

/** A saved inbox of a person: filters and order. */
export interface ViewRow {
  readonly name: string;
  readonly query: JsonObject;
  readonly updatedAt: string;
}

const columns = 'name, query, updated_at as "updatedAt"';
export const mostViews = 100;

/** Saves an inbox. False: this person already has the most that are allowed. */
export async function putView(
  q: Queryable,
  {
    principal,
    name,
    query,
  }: { readonly principal: string; readonly name: string; readonly query: JsonObject },
): Promise<boolean> {
  const { rowCount } = await q.query(
    `insert into approval_view (principal, name, query)
       select $1, $2, $3 where exists (select 1 from approval_view where principal = $1 and name = $2)
          or (select count(*) from approval_view where principal = $1) < ${mostViews}
     on conflict (principal, name) do update set query = excluded.query, updated_at = now()`,
    [principal, withoutNul(name), JSON.stringify(query)],
  );
  return rowCount === 1;
}

export async function getView(q: Queryable, principal: string, name: string): Promise<ViewRow | null> {
  const { rows } = await q.query<ViewRow>(
    `select ${columns} from approval_view where principal = $1 and name = $2`,
    [principal, withoutNul(name)],
  );
  return rows[0] ?? null;
}

export async function listViews(q: Queryable, principal: string): Promise<readonly ViewRow[]> {
  const { rows } = await q.query<ViewRow>(
    `select ${columns} from approval_view where principal = $1 order by name`,
    [principal],
  );
  return rows;
}

export async function deleteView(q: Queryable, principal: string, name: string): Promise<boolean> {
  const { rowCount } = await q.query('delete from approval_view where principal = $1 and name = $2', [
    principal,
    withoutNul(name),
  ]);
  return rowCount === 1;
}
