import { createHash } from 'node:crypto';
import { canonical } from '../model/canonical.js';
import type { Json } from '../model/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { RecordActor } from '../model/records.js';
import type { ServiceChain, ServiceFact } from '../audit/index.js';
import type { Pool, Tx } from '../db/index.js';
import {
  loadFolder,
  type Catalog,
  type CompiledFlow,
  type LoadedFolder,
  type Finding,
} from '../policy/index.js';
import { publishFolderVersion, publishVersion, putPlan, withdrawMissing } from '../store/flows.js';
import { currentPolicies, policySetSeq, putPolicies } from '../store/policy.js';

export interface PoliciesDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly chain: ServiceChain;
  readonly folder: string;
  readonly now: () => Date;
}

export interface PublishedFlow {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly environment: string;
  readonly created: boolean;
}

export type ReloadResult =
  | {
      readonly status: 'loaded';
      readonly changed: boolean;
      readonly hash: string;
      readonly flows: readonly PublishedFlow[];
      readonly warnings: readonly Finding[];
    }
  | {
      readonly status: 'invalid';
      readonly errors: readonly Finding[];
      readonly warnings: readonly Finding[];
    };

export interface Policies {
  /** What single flows are compiled against: the same in every process, whichever of them loaded it. */
  catalog(): Promise<Catalog>;
  policySet(): Promise<PolicySet | null>;
  /** Everything in the folder, or nothing of it: on an error the last good one stays. */
  reload(by: RecordActor, traceId: string): Promise<ReloadResult>;
  publish(flow: CompiledFlow, by: RecordActor, traceId: string): Promise<PublishedFlow>;
}

interface Current {
  readonly seq: number;
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
}

export function makePolicies(deps: PoliciesDeps): Policies {
  let cached: Current | null = null;
  const current = async (): Promise<Current | null> => {
    const seq = await policySetSeq(deps.pool);
    if (seq === null || cached?.seq === seq) return cached;
    const loaded = await currentPolicies(deps.pool);
    if (loaded !== null) cached = { seq, policySet: loaded.policySet, catalog: loaded.catalog as Catalog };
    return cached;
  };
  return {
    policySet: async () => (await current())?.policySet ?? null,
    catalog: async () => {
      const found = await current();
      if (found === null) throw new Error('no policies are loaded');
      return found.catalog;
    },
    reload: async (by, traceId) => {
      const loaded = await loadFolder(deps.folder);
      return loaded.status === 'invalid'
        ? loaded
        : deps.transaction((tx) => store(deps, tx, loaded, by, traceId));
    },
    publish: (flow, by, traceId) =>
      deps.transaction(async (tx) => {
        const made = await publishIn(tx, flow, by.id, publishVersion);
        if (made.created) await deps.chain.appendIn(tx, [publishedFact(deps, made, by, traceId)]);
        return made;
      }),
  };
}

async function store(
  deps: PoliciesDeps,
  tx: Tx,
  loaded: LoadedFolder,
  by: RecordActor,
  traceId: string,
): Promise<ReloadResult> {
  const { changed, hash } = await putPolicies(tx, { policySet: loaded.policySet, catalog: loaded.catalog });
  const flows: PublishedFlow[] = [];
  // In one order everywhere, and the chain last: two that publish at once must not wait for each other.
  const byName = [...loaded.flows].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const flow of byName) flows.push(await publishIn(tx, flow, by.id, publishFolderVersion));
  const created = flows.filter((flow) => flow.created);
  const at = deps.now().toISOString();
  const held = byName.map((flow) => flow.name);
  const withdrawn = await withdrawMissing(tx, held, { by: by.id, at });
  const facts = [
    ...created.map((flow) => publishedFact(deps, flow, by, traceId)),
    ...withdrawn.map((name) => withdrawnFact({ name, time: at, actor: by, traceId, cause: 'folder' })),
  ];
  const hasChanged = changed || created.length > 0 || withdrawn.length > 0;
  if (hasChanged) facts.push(reloadedFact(deps, hash, created, by, traceId));
  if (facts.length > 0) await deps.chain.appendIn(tx, facts);
  return { status: 'loaded', changed: hasChanged, hash, flows, warnings: loaded.warnings };
}

export function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

async function publishIn(
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

function publishedFact(
  deps: PoliciesDeps,
  flow: PublishedFlow,
  actor: RecordActor,
  traceId: string,
): ServiceFact {
  const { name, version, hash, environment } = flow;
  return {
    key: `flow.published:${name}:${version}`,
    type: 'flow.published',
    time: deps.now().toISOString(),
    actor,
    permission: 'flow.publish',
    flow: name,
    environment,
    traceId,
    data: { name, version, hash },
  };
}

/** `folder`: no file holds it any more, and nobody published it by the API. */
export function withdrawnFact({
  name,
  time,
  actor,
  traceId,
  cause,
  refs = [],
}: Pick<ServiceFact, 'time' | 'actor' | 'refs'> & {
  readonly name: string;
  readonly traceId: string;
  readonly cause: 'asked' | 'folder';
}): ServiceFact {
  return {
    key: `flow.withdrawn:${name}:${traceId}`,
    type: 'flow.withdrawn',
    time,
    actor,
    permission: cause === 'asked' ? 'flow.publish' : 'policy.reload',
    flow: name,
    traceId,
    data: { name, cause },
    refs,
  };
}

function reloadedFact(
  deps: PoliciesDeps,
  hash: string,
  created: readonly PublishedFlow[],
  actor: RecordActor,
  traceId: string,
): ServiceFact {
  return {
    key: `policy.reloaded:${traceId}`,
    type: 'policy.reloaded',
    time: deps.now().toISOString(),
    actor,
    permission: 'policy.reload',
    traceId,
    data: { hash, flows: created.map(({ name, version }) => `${name}@${version}`) },
  };
}
