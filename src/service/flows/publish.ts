import { z } from 'zod';
import type { Json } from '../../model/values/json.js';
import type { Queryable, Tx } from '../../db/index.js';
import type { ReadyFlow } from '../../policy/index.js';
import {
  lockFlow,
  publishNewest,
  putPlan,
  withdrawFlow,
  type publishVersion,
} from '../../store/flows/flows.js';
import {
  endPublication,
  environmentsOf,
  keepResult,
  newestPublication,
  publicationSizesOf,
  sourceOf,
} from '../../store/flows/publications.js';
import type { Recompiled } from './recompile.js';

// New versions of flows: sent by somebody, read from the folder, or compiled again under other policies.

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

/** What is kept of a flow besides its plan and the text that its author sent. */
export type StoredFlow = Omit<ReadyFlow, 'plan' | 'source'>;

/** Stores the flow's plan, and its version as `publish` numbers it. */
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

/** Limits on the published flows of a principal: each reload and start compiles them again where policies have changed. */
const mostPublishedBytes = 4 * 1024 * 1024;
const mostPublishedFlows = 1_000;

/** Why this flow would be too much for its publisher; null: it would not. A flow not larger than the one it replaces never is. */
export async function whyTooMany(
  q: Queryable,
  { name, environment, source }: ReadyFlow,
  by: string,
): Promise<string | null> {
  const published = await publicationSizesOf(q, by);
  const others = published.filter((flow) => flow.name !== name || flow.environment !== environment);
  const replaced = published.find((flow) => !others.includes(flow));
  const [bytes, kept] = [Buffer.byteLength(source), others.reduce((sum, flow) => sum + flow.bytes, 0)];
  if (replaced !== undefined && bytes <= replaced.bytes) return null;
  if (kept + bytes <= mostPublishedBytes && others.length < mostPublishedFlows) return null;
  return `\`${by}\` holds ${others.length} other published flows of ${kept} bytes, and this one has ${bytes}: at most ${mostPublishedFlows} flows and ${mostPublishedBytes} bytes together; withdraw some that are no longer wanted, or bring them into the policies folder`;
}

export interface Republished {
  readonly made: readonly PublishedFlow[];
  readonly withdrawn: readonly WithdrawnFlow[];
}

/**
 * Brings published flows in line with the policies as they are now: a changed plan becomes a new version of the same author, and
 * a flow that has an error now is withdrawn. Runs under way keep the plan that they began with. `flows`: those of the folder.
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
    // It was withdrawn meanwhile, or a newer version has taken its place.
    if (newest?.version !== row.version) continue;
    if (compiled.status === 'valid') {
      const { hash, planHash } = compiled.flow;
      if (newest.hash === hash && newest.planHash === planHash) continue;
      const flow = { ...compiled.flow, source: await sourceOf(tx, row) };
      const newVersion = await publishStored(tx, flow, row.publishedBy, (q, version) =>
        publishNewest(q, version, false),
      );
      await keepResult(tx, newVersion, basis, compiled as unknown as Json);
      made.push(newVersion);
      continue;
    }
    const { name, environment } = row;
    withdrawn.push({ name, environment, reason: compiled.reason });
    await endPublication(tx, row);
    const fromFolder = flows.find((flow) => flow.name === name && flow.environment === environment);
    if (fromFolder !== undefined)
      made.push(await publishIn(tx, fromFolder, by.by, (q, version) => publishNewest(q, version, true)));
    else if ((await environmentsOf(tx, name)).length === 0)
      await withdrawFlow(tx, name, { reasonRef: null, ...by });
  }
  return { made: made.filter((flow) => flow.created), withdrawn };
}
