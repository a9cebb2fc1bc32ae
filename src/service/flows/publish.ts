import { z } from 'zod';
import type { Json } from '../../model/json.js';
import type { Queryable, Tx } from '../../db/index.js';
import type { ReadyFlow } from '../../policy/index.js';
import { lockFlow, publishNewest, putPlan, withdrawFlow, type publishVersion } from '../../store/flows.js';
import {
  endPublication,
  environmentsOf,
  keepResult,
  newestPublication,
  publishedBy,
  sourceOf,
} from '../../store/publications.js';
import type { Recompiled } from './recompile.js';

// Flows become versions: sent by somebody, read from the folder, or compiled again with other policies.

export const publishedFlow = z.object({
  ...{ name: z.string(), version: z.number(), hash: z.string(), environment: z.string() },
  created: z.boolean(),
});

export type PublishedFlow = Readonly<z.output<typeof publishedFlow>>;

export interface WithdrawnFlow {
  readonly name: string;
  readonly environment: string;
  readonly reason: string;
}

/** What is kept of a flow beside its plan and the text that its author sent. */
export type StoredFlow = Omit<ReadyFlow, 'plan' | 'source'>;

/** Its plan and its version, as `publish` numbers it. */
export async function publishIn(
  tx: Tx,
  { plan, source, ...flow }: ReadyFlow,
  by: string,
  publish: typeof publishVersion,
): Promise<PublishedFlow> {
  await putPlan(tx, flow.planHash, plan);
  return publishStored(tx, { ...flow, source }, by, publish);
}

async function publishStored(
  tx: Tx,
  {
    name,
    hash,
    planHash,
    environment,
    definition,
    source,
    owner,
    description,
    ...flow
  }: Omit<ReadyFlow, 'plan'>,
  by: string,
  publish: typeof publishVersion,
): Promise<PublishedFlow> {
  const warnings = flow.warnings as unknown as Json;
  const about = { environment, definition, source, owner, description, warnings };
  const made = await publish(tx, { name, hash, planHash, ...about, publishedBy: by });
  return { name, version: made.version, hash, environment, created: made.created };
}

/** What one principal's published flows may be together: each reload and start compiles them where policies have changed. */
const mostPublishedBytes = 4 * 1024 * 1024;
const mostPublishedFlows = 1_000;

/** Why this flow is one too many for who publishes it; null: it is not. One that takes less than what it replaces never is. */
export async function tooManyPublished(
  q: Queryable,
  { name, environment, source }: ReadyFlow,
  by: string,
): Promise<string | null> {
  const held = await publishedBy(q, by);
  const others = held.filter((one) => one.name !== name || one.environment !== environment);
  const replaced = held.find((one) => !others.includes(one));
  const [bytes, kept] = [Buffer.byteLength(source), others.reduce((sum, one) => sum + one.bytes, 0)];
  if (replaced !== undefined && bytes <= replaced.bytes) return null;
  if (kept + bytes <= mostPublishedBytes && others.length < mostPublishedFlows) return null;
  return `\`${by}\` holds ${others.length} other published flows of ${kept} bytes, and this one has ${bytes}: at most ${mostPublishedFlows} flows and ${mostPublishedBytes} bytes together; withdraw some that are no longer wanted, or bring them into the policies folder`;
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
  { flows, basis }: { readonly flows: readonly ReadyFlow[]; readonly basis: string },
  by: { readonly by: string; readonly at: string },
): Promise<Republished> {
  const made: PublishedFlow[] = [];
  const withdrawn: WithdrawnFlow[] = [];
  for (const { row, compiled } of recompiled) {
    await lockFlow(tx, row.name);
    const newest = await newestPublication(tx, row);
    // Withdrawn meanwhile, or something newer has taken its place.
    if (newest?.version !== row.version) continue;
    if (compiled.status === 'valid') {
      const { hash, planHash } = compiled.flow;
      if (newest.hash === hash && newest.planHash === planHash) continue;
      const flow = { ...compiled.flow, source: await sourceOf(tx, row) };
      const again = await publishStored(tx, flow, row.publishedBy, (q, one) => publishNewest(q, one, false));
      await keepResult(tx, again, basis, compiled as unknown as Json);
      made.push(again);
      continue;
    }
    const { name, environment } = row;
    withdrawn.push({ name, environment, reason: compiled.reason });
    await endPublication(tx, row);
    const own = flows.find((one) => one.name === name && one.environment === environment);
    if (own !== undefined)
      made.push(await publishIn(tx, own, by.by, (q, one) => publishNewest(q, one, true)));
    else if ((await environmentsOf(tx, name)).length === 0)
      await withdrawFlow(tx, name, { reasonRef: null, ...by });
  }
  return { made: made.filter((one) => one.created), withdrawn };
}
