import type { Queryable, Tx } from '../db/index.js';
import { versionColumns, type FlowVersionRow, type NewFlowVersion } from './flows.js';

// Flows that somebody published by the API: what holds one in an environment beside, or without, a file of the folder.

type Held = Pick<NewFlowVersion, 'name' | 'environment'>;

/** The newest version of each, by name and environment. */
export async function publishedFlows(q: Queryable): Promise<readonly FlowVersionRow[]> {
  const { rows } = await q.query<FlowVersionRow>(
    `select distinct on (name, environment) ${versionColumns} from flow_version
      where (name, environment) in (select name, environment from flow_publication)
      order by name, environment, version desc`,
  );
  return rows;
}

export async function isPublished(q: Queryable, { name, environment }: Held): Promise<boolean> {
  const { rows } = await q.query('select 1 from flow_publication where name = $1 and environment = $2', [
    name,
    environment,
  ]);
  return rows.length > 0;
}

export async function endPublication(tx: Tx, { name, environment }: Held): Promise<void> {
  await tx.query('delete from flow_publication where name = $1 and environment = $2', [name, environment]);
}

/** By a file, or by a publication in some environment. */
export async function isHeldAnywhere(q: Queryable, name: string): Promise<boolean> {
  const { rows } = await q.query(
    'select 1 from folder_flow where name = $1 union all select 1 from flow_publication where name = $1',
    [name],
  );
  return rows.length > 0;
}
