import { createHash } from 'node:crypto';
import { canonical } from '../model/canonical.js';
import type { Json } from '../model/json.js';
import type { Tx } from '../db/index.js';
import type { CompiledFlow, FlowCheck } from '../policy/index.js';
import {
  lockFlow,
  publishNewest,
  putPlan,
  resolveVersion,
  withdrawFlow,
  type FlowVersionRow,
  type publishVersion,
} from '../store/flows.js';
import { endPublication, isHeldAnywhere, isPublished } from '../store/publications.js';

// Flows become versions: sent by somebody, read from the folder, or compiled again with other policies.

export interface PublishedFlow {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly environment: string;
  readonly created: boolean;
}

export interface WithdrawnFlow {
  readonly name: string;
  readonly environment: string;
  readonly reason: string;
}

export function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Its plan and its version, as `publish` numbers it. */
export async function publishIn(
  tx: Tx,
  flow: CompiledFlow,
  publishedBy: string,
  publish: typeof publishVersion,
): Promise<PublishedFlow> {
  const definition = canonical(flow.definition);
  const plan = canonical(flow.plan);
  const [hash, planHash] = [hashOf(definition), hashOf(plan)];
  await putPlan(tx, planHash, plan);
  const { name, environment, source, owner, description } = flow;
  const warnings = flow.warnings as unknown as Json;
  const made = await publish(tx, {
    name,
    hash,
    planHash,
    environment,
    definition,
    source,
    owner,
    description,
    warnings,
    publishedBy,
  });
  return { name, version: made.version, hash, environment, created: made.created };
}

/** What somebody published by the API, as the folder's policies compile it now. */
export interface Recompiled {
  readonly row: FlowVersionRow;
  readonly check: FlowCheck;
}

export interface Republished {
  readonly made: readonly PublishedFlow[];
  readonly withdrawn: readonly WithdrawnFlow[];
}

/**
 * New starts are held to what the policies say now. Another plan is a new version, its author's as before; what has an
 * error by now is withdrawn. Runs under way end under what they began with. `flows`: the folder's.
 */
export async function republish(
  tx: Tx,
  recompiled: readonly Recompiled[],
  flows: readonly CompiledFlow[],
  by: { readonly by: string; readonly at: string },
): Promise<Republished> {
  const made: PublishedFlow[] = [];
  const withdrawn: WithdrawnFlow[] = [];
  for (const { row, check } of recompiled) {
    await lockFlow(tx, row.name);
    if (!(await isInForce(tx, row))) continue;
    if (check.status === 'valid') {
      const flow = { ...check.flow, source: row.source };
      made.push(await publishIn(tx, flow, row.publishedBy, (q, one) => publishNewest(q, one, false)));
      continue;
    }
    const { name, environment } = row;
    withdrawn.push({ name, environment, reason: reasonOf(check) });
    await endPublication(tx, row);
    const own = flows.find((one) => one.name === name && one.environment === environment);
    if (own !== undefined)
      made.push(await publishIn(tx, own, by.by, (q, one) => publishNewest(q, one, true)));
    else if (!(await isHeldAnywhere(tx, name))) await withdrawFlow(tx, name, { reasonRef: null, ...by });
  }
  return { made: made.filter((one) => one.created), withdrawn };
}

/** Still published, and nothing newer has taken its place. */
async function isInForce(tx: Tx, { name, environment, version }: FlowVersionRow): Promise<boolean> {
  if (!(await isPublished(tx, { name, environment }))) return false;
  return (await resolveVersion(tx, name, { environment }))?.version === version;
}

const longestReason = 1_000;

/** The first error, as it stands in the flow, and how many more there are. */
function reasonOf({ errors }: Extract<FlowCheck, { status: 'invalid' }>): string {
  const [first, ...others] = errors;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const text = `${first?.code ?? 'INVALID'}: \`${first?.path ?? ''}\` ${first?.message ?? ''}`;
  return `${text.slice(0, longestReason).toWellFormed()}${more}: publish it again as the policies have it now`;
}
