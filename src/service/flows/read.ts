import type {
  FlowDiffJson,
  FlowJson,
  FlowSummaryJson,
  FlowVersionJson,
} from '../../model/contract/answer-types.js';
import { asJson, type JsonObject } from '../../model/values/json.js';
import {
  describeFlow,
  getFlowVersion,
  getWithdrawal,
  listFlows as listStoredFlows,
  listVersions,
  type FlowVersionRow,
  type Withdrawal,
} from '../../store/flows/flows.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { floorsIn, planOf } from '../runs/links.js';
import { readAll, unreadableOf, type ReadValues } from '../values.js';
import { diffPlans } from './diff/diff.js';
import { graphOf } from './graph.js';

// Flows and their versions, as doors show them.

export interface FlowRead {
  readonly kind: 'flow';
  readonly body: FlowJson;
}

export interface VersionRead {
  readonly kind: 'version';
  readonly body: FlowVersionJson;
}

export interface VersionsDiffered {
  readonly kind: 'diff';
  readonly body: FlowDiffJson;
}

/** Each flow with its latest version. */
export async function listFlows(
  caller: Caller,
  { limit, cursor = null }: { readonly limit: number; readonly cursor?: string | null | undefined },
): Promise<Page<FlowSummaryJson> | Refusal> {
  const refused = refuseCaller(caller, 'listFlows');
  if (refused !== null) return refused;
  const { deps } = caller;
  const page = await listStoredFlows(deps.pool, limit, cursor);
  if (page === null) return badCursor();
  const read = await readReasons(
    deps,
    page.items.map(({ withdrawn }) => withdrawn),
  );
  const data = page.items.map((flow) => ({ ...flow, withdrawn: withdrawalBody(read, flow.withdrawn) }));
  return { kind: 'page', data, nextCursor: page.nextCursor };
}

export async function readFlow(caller: Caller, name: string): Promise<FlowRead | Refusal> {
  return refuseCaller(caller, 'getFlow') ?? loadFlow(caller.deps, name);
}

/** `versions` come newest first; owner and description are those of the newest version. */
export async function loadFlow(deps: ServiceDeps, name: string): Promise<FlowRead | Refusal> {
  const { pool } = deps;
  const [newest, rows] = await Promise.all([describeFlow(pool, name), listVersions(pool, name)]);
  if (newest === null) return notFound('flow', name);
  const versions = rows.map(({ version, hash, environment, publishedAt, publishedBy }) => ({
    version,
    hash,
    environments: [environment],
    publishedAt,
    publishedBy,
  }));
  const withdrawn = await readWithdrawal(deps, name);
  const { owner, description } = newest;
  return { kind: 'flow', body: { name, owner, description, withdrawn, versions } };
}

async function readWithdrawal(deps: ServiceDeps, name: string): Promise<FlowJson['withdrawn']> {
  const withdrawn = await getWithdrawal(deps.pool, name);
  return withdrawalBody(await readReasons(deps, [withdrawn]), withdrawn);
}

/** A reason that cannot be read, as where a process with another key-encryption key has kept it, keeps no flow from being shown. */
function readReasons(deps: ServiceDeps, withdrawals: readonly (Withdrawal | null)[]): Promise<ReadValues> {
  return readAll(
    deps,
    withdrawals.map((withdrawn) => withdrawn?.reasonRef ?? null),
  );
}

function withdrawalBody(read: ReadValues, withdrawn: Withdrawal | null): FlowJson['withdrawn'] {
  if (withdrawn === null) return null;
  const { by, at, reasonRef } = withdrawn;
  return { by, at, reason: read.text(reasonRef), ...unreadableOf(read, { reason: reasonRef }) };
}

/** The store numbers versions with 32 bits: a larger number is a version that does not exist. */
async function findVersion(
  { pool }: ServiceDeps,
  name: string,
  version: number,
): Promise<FlowVersionRow | null> {
  return version > 2_147_483_647 ? null : getFlowVersion(pool, name, version);
}

/** A version with its definition, its plan and its graph. */
export async function readVersion(
  caller: Caller,
  name: string,
  version: number,
): Promise<VersionRead | Refusal> {
  const refused = refuseCaller(caller, 'getFlowVersion');
  if (refused !== null) return refused;
  const { deps } = caller;
  const row = await findVersion(deps, name, version);
  if (row === null) return notFound('version', `${name} ${version}`);
  const plan = await planOf(deps, row.planHash);
  const { hash, planHash, environment, owner, description, publishedAt, publishedBy, warnings, source } = row;
  const fields = {
    name,
    version,
    hash,
    planHash,
    environment,
    owner,
    description,
    publishedAt,
    publishedBy,
    withdrawn: await readWithdrawal(deps, name),
    warnings,
    source,
  };
  const definition = JSON.parse(row.definition) as JsonObject;
  const graph = await graphOf(plan, await floorsIn(deps, environment));
  return { kind: 'version', body: { ...fields, definition, plan: asJson(plan), graph } };
}

/** What changed between two versions, and what the change permits. */
export async function diffVersions(
  caller: Caller,
  name: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<VersionsDiffered | Refusal> {
  const refused = refuseCaller(caller, 'diffFlow');
  if (refused !== null) return refused;
  const { deps } = caller;
  const [fromRow, toRow] = await Promise.all([findVersion(deps, name, from), findVersion(deps, name, to)]);
  if (fromRow === null || toRow === null)
    return notFound('version', `${name} ${fromRow === null ? from : to}`);
  const [before, after] = await Promise.all([planOf(deps, fromRow.planHash), planOf(deps, toRow.planHash)]);
  return { kind: 'diff', body: { name, from, to, ...(await diffPlans(before, after)) } };
}
