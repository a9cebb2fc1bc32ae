import type { Json } from '../../model/values/json.js';
import { onOneConnection, together, type Pool, type Queryable, type Tx } from '../../db/index.js';
import {
  getWithdrawal,
  resolveVersion,
  type FlowVersionRow,
  type NewFlowVersion,
  type Withdrawal,
} from './flows.js';
import { withoutNul } from '../text.js';

// Flows that were published by the API. A publication holds a flow in an environment, with or without a file of the folder.

type PublishedName = Pick<NewFlowVersion, 'name' | 'environment'>;

export type Publication = Pick<FlowVersionRow, 'name' | 'environment' | 'version' | 'publishedBy'>;
type Version = Pick<FlowVersionRow, 'name' | 'version'>;

/** The newest published version of each flow, by name and environment, without its content. */
export async function listPublications(q: Queryable): Promise<readonly Publication[]> {
  const { rows } = await q.query<Publication>(
    `select distinct on (name, environment) name, environment, version, published_by as "publishedBy" from flow_version
      where (name, environment) in (select name, environment from flow_publication)
      order by name, environment, version desc`,
  );
  return rows;
}

/** The source of the version, as its author sent it. */
export async function sourceOf(q: Queryable, { name, version }: Version): Promise<string> {
  const { rows } = await q.query<{ source: string }>(
    'select source from flow_version where name = $1 and version = $2',
    [name, version],
  );
  if (rows[0] === undefined) throw new Error(`there is no version ${version} of \`${name}\``);
  return rows[0].source;
}

/** The stored result of compiling the version on that basis; null: it was not compiled on it. */
export async function findKeptResult(q: Queryable, { name, version }: Version, basis: string): Promise<Json> {
  const { rows } = await q.query<{ result: Json }>(
    'select result from publication_compiled where name = $1 and version = $2 and basis = $3',
    [name, version, basis],
  );
  return rows[0]?.result ?? null;
}

export async function keepResult(
  q: Queryable,
  { name, version }: Version,
  basis: string,
  result: Json,
): Promise<void> {
  await q.query(
    `insert into publication_compiled (name, version, basis, result) values ($1, $2, $3, $4)
     on conflict (name, version, basis) do nothing`,
    [name, version, basis, JSON.stringify(result)],
  );
}

/** Deletes the results of compiling on any other basis, whose policies are no longer in force. */
export async function forgetResults(q: Queryable, basis: string): Promise<void> {
  await q.query('delete from publication_compiled where basis <> $1', [basis]);
}

/** A principal's publications, each with the size of the text of its newest version. */
export async function publicationSizesOf(
  q: Queryable,
  principal: string,
): Promise<readonly (PublishedName & { readonly bytes: number })[]> {
  const { rows } = await q.query<PublishedName & { bytes: number }>(
    `select name, environment, octet_length(source) as bytes from (
       select distinct on (name, environment) name, environment, source, published_by from flow_version
        where (name, environment) in (select name, environment from flow_publication)
        order by name, environment, version desc) v
      where published_by = $1`,
    [principal],
  );
  return rows;
}

/** The newest publication of the flow there; null: no publication holds it. */
export async function newestPublication(
  q: Queryable,
  { name, environment }: PublishedName,
): Promise<Pick<FlowVersionRow, 'version' | 'hash' | 'planHash'> | null> {
  const { rows } = await q.query<Pick<FlowVersionRow, 'version' | 'hash' | 'planHash'>>(
    `select version, hash, plan_hash as "planHash" from flow_version v
      where name = $1 and environment = $2
        and exists (select 1 from flow_publication p where p.name = v.name and p.environment = v.environment)
      order by version desc limit 1`,
    [name, environment],
  );
  return rows[0] ?? null;
}

export async function endPublication(tx: Tx, { name, environment }: PublishedName): Promise<void> {
  await tx.query('delete from flow_publication where name = $1 and environment = $2', [name, environment]);
}

/** The environments in which a file of the folder or a publication holds the flow, by name. */
export async function environmentsOf(q: Queryable, name: string): Promise<string[]> {
  const { rows } = await q.query<{ environment: string }>(
    `select environment from folder_flow where name = $1
     union select environment from flow_publication where name = $1 order by environment`,
    [withoutNul(name)],
  );
  return rows.map((row) => row.environment);
}

export type HeldVersion = Pick<FlowVersionRow, 'name' | 'version' | 'planHash' | 'environment'>;

export interface FlowStanding {
  /** Null: the flow is not withdrawn. */
  readonly withdrawn: Withdrawal | null;
  /** The newest version in each environment in which a file or a publication holds the flow, by environment. */
  readonly held: readonly HeldVersion[];
}

/**
 * Where a flow takes new runs, and of which version. `asked`: the version that a start names, or the newest of its environment. It is
 * read first, so that a version that is published meanwhile is not reported as superseded or as held by nobody.
 */
export function flowStandingOf(
  pool: Pool,
  name: string,
  by: Parameters<typeof resolveVersion>[2],
): Promise<FlowStanding & { readonly asked: FlowVersionRow | null }> {
  return onOneConnection(pool, async (q) => {
    const [asked, standing] = await together([resolveVersion(q, name, by), readFlowStanding(q, name)]);
    return { ...standing, asked };
  });
}

/** The environments are read by a single statement, so as of a single instant. */
export async function readFlowStanding(q: Tx, name: string): Promise<FlowStanding> {
  const [withdrawn, held] = await together([getWithdrawal(q, name), heldVersions(q, name)]);
  return { withdrawn, held };
}

async function heldVersions(q: Queryable, name: string): Promise<HeldVersion[]> {
  const { rows } = await q.query<HeldVersion>(
    `select v.name, v.version, v.plan_hash as "planHash", v.environment
       from (select environment from folder_flow where name = $1
             union select environment from flow_publication where name = $1) held
       cross join lateral (
         select name, version, plan_hash, environment from flow_version
          where name = $1 and environment = held.environment order by version desc limit 1) v
      order by v.environment`,
    [withoutNul(name)],
  );
  return rows;
}
