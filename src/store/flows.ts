import type { Plan } from '../engine/plan.js';
import type { Json } from '../model/json.js';
import type { Queryable, Tx } from '../db/index.js';
import { decodeCursor, page, type Page } from './cursor.js';
import { assertHash, findable, findableOrNull } from './text.js';

export async function putPlan(q: Queryable, hash: string, body: string): Promise<void> {
  await q.query('insert into plan (hash, body) values ($1, $2) on conflict do nothing', [hash, body]);
}

/** Throws when the stored text is not the one of the hash: runs are bound to their plan by it. */
export async function getPlan(q: Queryable, hash: string): Promise<Plan | null> {
  const { rows } = await q.query<{ body: string }>('select body from plan where hash = $1', [hash]);
  if (rows[0] === undefined) return null;
  return JSON.parse(assertHash('plan', hash, rows[0].body)) as Plan;
}

export interface NewFlowVersion {
  readonly name: string;
  readonly hash: string;
  readonly planHash: string;
  readonly environment: string;
  readonly definition: string;
  readonly source: string;
  readonly owner: string | null;
  readonly description: string | null;
  readonly warnings: Json;
  readonly publishedBy: string;
}

export interface FlowVersionRow extends NewFlowVersion {
  readonly version: number;
  readonly publishedAt: string;
}

const columns = `name, version, hash, plan_hash as "planHash", environment, definition, source, owner, description, warnings,
  published_at as "publishedAt", published_by as "publishedBy"`;

export interface Published {
  readonly version: number;
  readonly created: boolean;
}

/** The next version of a name; that exact content again, compiled to the same plan, is the version it has. */
export async function publishVersion(tx: Tx, flow: NewFlowVersion): Promise<Published> {
  await lockFlow(tx, flow.name);
  const { rows: same } = await tx.query<{ version: number }>(
    'select version from flow_version where name = $1 and hash = $2 and plan_hash = $3 order by version desc limit 1',
    [flow.name, flow.hash, flow.planHash],
  );
  if (same[0] !== undefined) return { version: same[0].version, created: false };
  return insertVersion(tx, flow);
}

/**
 * What the policy folder holds of a flow. Where it has changed since it was loaded last it becomes the newest version
 * of its environment, also when an older one had the same content: whoever takes a change back means it.
 */
export async function publishFolderVersion(tx: Tx, flow: NewFlowVersion): Promise<Published> {
  await lockFlow(tx, flow.name);
  const { rows: last } = await tx.query<{ hash: string; planHash: string }>(
    'select hash, plan_hash as "planHash" from folder_flow where name = $1',
    [flow.name],
  );
  await tx.query(
    `insert into folder_flow (name, hash, plan_hash) values ($1, $2, $3)
     on conflict (name) do update set hash = excluded.hash, plan_hash = excluded.plan_hash`,
    [flow.name, flow.hash, flow.planHash],
  );
  const held = last[0];
  if (held === undefined || (held.hash === flow.hash && held.planHash === flow.planHash))
    return publishVersion(tx, flow);
  const newest = await resolveVersion(tx, flow.name, { environment: flow.environment });
  return newest !== null && newest.hash === flow.hash && newest.planHash === flow.planHash
    ? { version: newest.version, created: false }
    : insertVersion(tx, flow);
}

/** Whoever publishes a name waits for whoever is publishing it. */
async function lockFlow(tx: Tx, name: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`flow:${name}`]);
}

async function insertVersion(tx: Tx, flow: NewFlowVersion): Promise<Published> {
  const { rows } = await tx.query<{ version: number }>(
    `insert into flow_version (name, version, hash, plan_hash, environment, definition, source, owner, description, warnings, published_by)
     values ($1, (select coalesce(max(version), 0) + 1 from flow_version where name = $1), $2, $3, $4, $5, $6, $7, $8, $9, $10) returning version`,
    [
      flow.name,
      flow.hash,
      flow.planHash,
      flow.environment,
      flow.definition,
      flow.source,
      flow.owner,
      flow.description,
      JSON.stringify(flow.warnings),
      flow.publishedBy,
    ],
  );
  return { version: rows[0]?.version ?? 0, created: true };
}

export interface FlowSummary {
  readonly name: string;
  readonly owner: string | null;
  readonly description: string | null;
  readonly version: number;
  readonly hash: string;
  readonly environment: string;
  readonly publishedAt: string;
}

/** The latest version of each flow, by name. Null: the cursor is not one of ours. */
export async function listFlows(
  q: Queryable,
  limit: number,
  cursor: string | null,
): Promise<Page<FlowSummary> | null> {
  const after = cursor === null ? [''] : decodeCursor(cursor, 1);
  if (after === null) return null;
  const { rows } = await q.query<FlowSummary>(
    `select distinct on (name) name, owner, description, version, hash, environment, published_at as "publishedAt"
       from flow_version where name > $1 order by name, version desc limit $2`,
    [after[0], limit + 1],
  );
  return page(rows, limit, (row) => [row.name]);
}

/** All versions, newest first; empty when the name is unknown. */
export async function getFlow(q: Queryable, name: string): Promise<FlowVersionRow[]> {
  const { rows } = await q.query<FlowVersionRow>(
    `select ${columns} from flow_version where name = $1 order by version desc`,
    [findable(name)],
  );
  return rows;
}

export async function getFlowVersion(
  q: Queryable,
  name: string,
  version: number,
): Promise<FlowVersionRow | null> {
  const { rows } = await q.query<FlowVersionRow>(
    `select ${columns} from flow_version where name = $1 and version = $2`,
    [findable(name), version],
  );
  return rows[0] ?? null;
}

/** Who published the version; null: there is none such. */
export async function publisherOf(q: Queryable, name: string, version: number): Promise<string | null> {
  const { rows } = await q.query<{ by: string }>(
    'select published_by as by from flow_version where name = $1 and version = $2',
    [name, version],
  );
  return rows[0]?.by ?? null;
}

/** That version, or the latest in that environment; without an environment, the latest of all. */
export async function resolveVersion(
  q: Queryable,
  name: string,
  by: { readonly version?: number | undefined; readonly environment?: string | undefined },
): Promise<FlowVersionRow | null> {
  const { rows } = await q.query<FlowVersionRow>(
    `select ${columns} from flow_version
      where name = $1 and ($2::integer is null or version = $2) and ($3::text is null or environment = $3) order by version desc limit 1`,
    [findable(name), by.version ?? null, findableOrNull(by.environment)],
  );
  return rows[0] ?? null;
}
