import type { Plan } from '../../engine/plan.js';
import type { FlowVersionJson } from '../../model/contract/answer-types.js';
import type { Json } from '../../model/values/json.js';
import type { PayloadRef } from '../../model/records.js';
import type { Queryable, Tx } from '../../db/index.js';
import { decodeCursor, toPage, type Page } from '../cursor.js';
import { assertHash, withoutNul, withoutNulOrNull } from '../text.js';

export async function putPlan(q: Queryable, hash: string, body: string): Promise<void> {
  await q.query('insert into plan (hash, body) values ($1, $2) on conflict do nothing', [hash, body]);
}

/** Throws if the stored text does not have the hash, which binds runs to their plan. */
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

export interface FlowVersionRow extends Omit<NewFlowVersion, 'warnings'> {
  readonly warnings: FlowVersionJson['warnings'];
  readonly version: number;
  readonly publishedAt: string;
}

const versionColumns = `name, version, hash, plan_hash as "planHash", environment, definition, source, owner, description, warnings,
  published_at as "publishedAt", published_by as "publishedBy"`;

export interface Published {
  readonly version: number;
  readonly created: boolean;
}

/** Publishes by the API. Content that is not the newest of its environment, or was not held there, becomes a new version, also when an older version has it. */
export async function publishVersion(tx: Tx, flow: NewFlowVersion): Promise<Published> {
  await lockFlow(tx, flow.name);
  const wasHeld = await isHeld(tx, flow);
  await tx.query(
    `insert into flow_publication (name, environment) values ($1, $2)
     on conflict (name, environment) do update set published_at = now()`,
    [flow.name, flow.environment],
  );
  const hasEnded = await endWithdrawal(tx, flow.name);
  return publishNewest(tx, flow, hasEnded || !wasHeld);
}

/**
 * Publishes a flow from the policies folder. A file that is new or has changed since it was last loaded becomes the newest version of
 * its environment, even if it equals an older version, since somebody who takes a change back means it. An unchanged file
 * publishes nothing over a version that came by the API; a changed file replaces that version, and then holds the flow alone. A
 * file that has come back ends the withdrawal that its absence caused. A flow that somebody withdrew by hand is only stored,
 * until somebody publishes it.
 */
export async function publishFolderVersion(tx: Tx, flow: NewFlowVersion): Promise<Published> {
  await lockFlow(tx, flow.name);
  const { rows: last } = await tx.query<{ hash: string; planHash: string }>(
    'select hash, plan_hash as "planHash" from folder_flow where name = $1',
    [flow.name],
  );
  const wasHeld = await isHeld(tx, flow);
  await tx.query(
    `insert into folder_flow (name, hash, plan_hash, environment) values ($1, $2, $3, $4)
     on conflict (name) do update
       set hash = excluded.hash, plan_hash = excluded.plan_hash, environment = excluded.environment`,
    [flow.name, flow.hash, flow.planHash, flow.environment],
  );
  const held = last[0];
  if (held !== undefined && isSameContent(held, flow)) {
    const version = await versionOf(tx, flow);
    if (version !== null) return { version, created: false };
  }
  const hasEnded = await endFolderWithdrawal(tx, flow.name);
  const isWithdrawn = (await getWithdrawal(tx, flow.name)) !== null;
  const made = await publishNewest(tx, flow, hasEnded || (!wasHeld && !isWithdrawn));
  if (made.created)
    await tx.query('delete from flow_publication where name = $1 and environment = $2', [
      flow.name,
      flow.environment,
    ]);
  return made;
}

/** Whether a file of the folder or a publication holds the flow in that environment; without either no run starts there. */
async function isHeld(
  q: Queryable,
  { name, environment }: Pick<NewFlowVersion, 'name' | 'environment'>,
): Promise<boolean> {
  const { rows } = await q.query(
    `select 1 from folder_flow where name = $1 and environment = $2
     union all select 1 from flow_publication where name = $1 and environment = $2`,
    [name, environment],
  );
  return rows.length > 0;
}

/** False: it was not withdrawn. */
async function endWithdrawal(tx: Tx, name: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from flow_withdrawal where name = $1', [name]);
  return rowCount === 1;
}

async function endFolderWithdrawal(tx: Tx, name: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from flow_withdrawal where name = $1 and reason_ref is null', [
    name,
  ]);
  return rowCount === 1;
}

/** Publishes unless the newest version has the same content. `isBack`: nothing held the flow until now, so it becomes a new version in any case. */
export async function publishNewest(tx: Tx, flow: NewFlowVersion, isBack: boolean): Promise<Published> {
  const newest = await resolveVersion(tx, flow.name, { environment: flow.environment });
  if (!isBack && newest !== null && isSameContent(newest, flow))
    return { version: newest.version, created: false };
  return insertVersion(tx, flow);
}

type Content = Pick<NewFlowVersion, 'hash' | 'planHash'>;

function isSameContent(content: Content, other: Content): boolean {
  return content.hash === other.hash && content.planHash === other.planHash;
}

/** The newest version with that content; null: there is none. */
async function versionOf(tx: Tx, { name, hash, planHash }: NewFlowVersion): Promise<number | null> {
  const { rows } = await tx.query<{ version: number }>(
    'select version from flow_version where name = $1 and hash = $2 and plan_hash = $3 order by version desc limit 1',
    [name, hash, planHash],
  );
  return rows[0]?.version ?? null;
}

export interface Withdrawal {
  /** Null: the file of the flow left the folder. Who withdraws a flow by hand must give a reason. */
  readonly reasonRef: PayloadRef | null;
  readonly by: string;
  readonly at: string;
}

/** False: the flow was already withdrawn. A withdrawal by hand replaces one by the folder. */
export async function withdrawFlow(
  tx: Tx,
  name: string,
  { reasonRef, by, at }: Withdrawal,
): Promise<boolean> {
  await lockFlow(tx, name);
  const { rowCount } = await tx.query(
    `insert into flow_withdrawal (name, reason_ref, withdrawn_by, withdrawn_at) values ($1, $2, $3, $4)
     on conflict (name) do update
       set reason_ref = excluded.reason_ref, withdrawn_by = excluded.withdrawn_by, withdrawn_at = excluded.withdrawn_at
     where flow_withdrawal.reason_ref is null and excluded.reason_ref is not null`,
    [name, reasonRef === null ? null : JSON.stringify(reasonRef), by, at],
  );
  await tx.query('delete from flow_publication where name = $1', [name]);
  return rowCount === 1;
}

/** Withdraws the flows that have left the folder since it was last loaded, unless a publication holds them. */
export async function withdrawMissing(
  tx: Tx,
  held: readonly string[],
  by: Pick<Withdrawal, 'by' | 'at'>,
): Promise<readonly string[]> {
  const { rows } = await tx.query<{ name: string; published: boolean }>(
    `delete from folder_flow f where not f.name = any($1::text[])
     returning f.name, exists (select 1 from flow_publication p where p.name = f.name) as published`,
    [held],
  );
  const withdrawn: string[] = [];
  for (const name of rows
    .filter((row) => !row.published)
    .map((row) => row.name)
    .sort())
    if (await withdrawFlow(tx, name, { reasonRef: null, ...by })) withdrawn.push(name);
  return withdrawn;
}

export async function getWithdrawal(q: Queryable, name: string): Promise<Withdrawal | null> {
  const { rows } = await q.query<Withdrawal>(
    `select reason_ref as "reasonRef", withdrawn_by as by, withdrawn_at as at from flow_withdrawal where name = $1`,
    [withoutNul(name)],
  );
  return rows[0] ?? null;
}

/** Lets only one transaction at a time publish a flow of this name. */
export async function lockFlow(tx: Tx, name: string): Promise<void> {
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
  readonly withdrawn: Withdrawal | null;
}

/** The latest version of each flow, by name. Null: this service made no such cursor. */
export async function listFlows(
  q: Queryable,
  limit: number,
  cursor: string | null,
): Promise<Page<FlowSummary> | null> {
  const after = cursor === null ? [''] : decodeCursor(cursor, 1);
  if (after === null) return null;
  const { rows } = await q.query<Omit<FlowSummary, 'withdrawn'> & Withdrawal>(
    `select distinct on (v.name) v.name, owner, description, version, hash, environment, published_at as "publishedAt",
            w.reason_ref as "reasonRef", w.withdrawn_by as by, w.withdrawn_at as at
       from flow_version v left join flow_withdrawal w on w.name = v.name
      where v.name > $1 order by v.name, version desc limit $2`,
    [after[0], limit + 1],
  );
  const summaries = rows.map(({ reasonRef, by, at, ...row }) => ({
    ...row,
    withdrawn: at === null ? null : { reasonRef, by, at },
  }));
  return toPage(summaries, limit, (row) => [row.name]);
}

export type VersionSummary = Pick<
  FlowVersionRow,
  'version' | 'hash' | 'environment' | 'publishedAt' | 'publishedBy'
>;

/** All versions, newest first, without their content; empty where the name is unknown. */
export async function listVersions(q: Queryable, name: string): Promise<VersionSummary[]> {
  const { rows } = await q.query<VersionSummary>(
    `select version, hash, environment, published_at as "publishedAt", published_by as "publishedBy"
       from flow_version where name = $1 order by version desc`,
    [withoutNul(name)],
  );
  return rows;
}

/** Owner and description of the newest version; null: the name is unknown. */
export async function describeFlow(
  q: Queryable,
  name: string,
): Promise<Pick<FlowVersionRow, 'owner' | 'description'> | null> {
  const { rows } = await q.query<Pick<FlowVersionRow, 'owner' | 'description'>>(
    'select owner, description from flow_version where name = $1 order by version desc limit 1',
    [withoutNul(name)],
  );
  return rows[0] ?? null;
}

export async function getFlowVersion(
  q: Queryable,
  name: string,
  version: number,
): Promise<FlowVersionRow | null> {
  const { rows } = await q.query<FlowVersionRow>(
    `select ${versionColumns} from flow_version where name = $1 and version = $2`,
    [withoutNul(name), version],
  );
  return rows[0] ?? null;
}

/** The sources of these versions, as they were sent. */
export async function sourcesOf(
  q: Queryable,
  versions: readonly Pick<FlowVersionRow, 'name' | 'version'>[],
): Promise<Pick<FlowVersionRow, 'name' | 'version' | 'source'>[]> {
  if (versions.length === 0) return [];
  const { rows } = await q.query<Pick<FlowVersionRow, 'name' | 'version' | 'source'>>(
    `select v.name, v.version, v.source from unnest($1::text[], $2::int[]) asked (name, version)
       join flow_version v on v.name = asked.name and v.version = asked.version`,
    [versions.map(({ name }) => withoutNul(name)), versions.map(({ version }) => version)],
  );
  return rows;
}

/** Who published the version; null: there is no such version. */
export async function publisherOf(q: Queryable, name: string, version: number): Promise<string | null> {
  const { rows } = await q.query<{ by: string }>(
    'select published_by as by from flow_version where name = $1 and version = $2',
    [name, version],
  );
  return rows[0]?.by ?? null;
}

/** The given version, else the latest in the given environment, else the latest of all. */
export async function resolveVersion(
  q: Queryable,
  name: string,
  by: { readonly version?: number | undefined; readonly environment?: string | undefined },
): Promise<FlowVersionRow | null> {
  const { rows } = await q.query<FlowVersionRow>(
    `select ${versionColumns} from flow_version
      where name = $1 and ($2::integer is null or version = $2) and ($3::text is null or environment = $3) order by version desc limit 1`,
    [withoutNul(name), by.version ?? null, withoutNulOrNull(by.environment)],
  );
  return rows[0] ?? null;
}
