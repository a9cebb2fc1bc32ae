import { createHash } from 'node:crypto';
import { canonical } from '../model/canonical.js';
import type { Json } from '../model/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { RecordActor } from '../model/records.js';
import type { ServiceChain, ServiceFact } from '../audit/index.js';
import type { Pool, Tx } from '../db/index.js';
import {
  formerEnvironments,
  formerQueues,
  knownQueues,
  loadFolder,
  makeChecker,
  queuesNamed,
  takenAway,
  type Asker,
  type Catalog,
  type CompiledFlow,
  type Finding,
  type FlowCheck,
  type Held,
  type LoadedFolder,
  type ReferencePlace,
  type Removed,
  type Unchecked,
} from '../policy/index.js';
import { publishFolderVersion, publishVersion, putPlan, withdrawMissing } from '../store/flows.js';
import { currentPolicies, lockPolicies, plansInForce, policySetSeq, putPolicies } from '../store/policy.js';

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
      readonly removed: readonly Removed[];
      readonly warnings: readonly Finding[];
    }
  /** Something is taken away that was not confirmed by its name: the last set stays. */
  | { readonly status: 'unconfirmed'; readonly removed: readonly Removed[] }
  | Unchecked
  | {
      readonly status: 'invalid';
      readonly errors: readonly Finding[];
      readonly warnings: readonly Finding[];
    };

export type StartResult = Extract<ReloadResult, { readonly status: 'loaded' | 'invalid' }>;

export interface Policies {
  /** What single flows are compiled against: the same in every process, whichever of them loaded it. */
  catalog(): Promise<Catalog>;
  policySet(): Promise<PolicySet | null>;
  /** One flow against the catalog, in a thread of its own. */
  check(text: string, media: 'json' | 'yaml', asker: Asker): Promise<FlowCheck | Unchecked>;
  /**
   * Everything in the folder, or nothing of it: on an error the last good one stays. `confirm`: the names that may be
   * taken away.
   */
  reload(by: RecordActor, traceId: string, confirm?: readonly string[]): Promise<ReloadResult>;
  /** The same at the start of a process, which serves nobody yet: what is gone is taken away, told and recorded. */
  start(by: RecordActor, traceId: string): Promise<StartResult>;
  publish(flow: CompiledFlow, by: RecordActor, traceId: string): Promise<PublishedFlow>;
  /** Where the folder names values that it does not hold, as this process has read it last. */
  references(): readonly ReferencePlace[];
}

interface Current {
  readonly seq: number;
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
}

export function makePolicies(deps: PoliciesDeps): Policies {
  let cached: Current | null = null;
  let references: readonly ReferencePlace[] = [];
  const current = async (): Promise<Current | null> => {
    const seq = await policySetSeq(deps.pool);
    if (seq === null || cached?.seq === seq) return cached;
    const loaded = await currentPolicies(deps.pool);
    if (loaded !== null) cached = { seq, policySet: loaded.policySet, catalog: loaded.catalog as Catalog };
    return cached;
  };
  const checker = makeChecker();
  const catalog = async (): Promise<Catalog> => {
    const found = await current();
    if (found === null) throw new Error('no policies are loaded');
    return found.catalog;
  };
  return {
    policySet: async () => (await current())?.policySet ?? null,
    catalog,
    check: async (text, media, asker) => checker.flow(text, media, await catalog(), asker),
    reload: async (by, traceId, confirm = []) => {
      const before = (await currentPolicies(deps.pool))?.policySet ?? null;
      const loaded = await checker.folder(deps.folder, knownQueues(before));
      if (loaded.status !== 'loaded') return loaded;
      const result = await deps.transaction(async (tx): Promise<ReloadResult> => {
        await lockPolicies(tx);
        const { held, removed } = await changes(tx, loaded);
        if (removed.some((one) => one.confirm && !confirm.includes(one.name)))
          return { status: 'unconfirmed', removed };
        return store(deps, tx, loaded, { held, removed, by, traceId });
      });
      if (result.status === 'loaded') ({ references } = loaded);
      return result;
    },
    start: async (by, traceId) => {
      const before = (await currentPolicies(deps.pool))?.policySet ?? null;
      const loaded = await loadFolder(deps.folder, { knownQueues: knownQueues(before) });
      if (loaded.status === 'invalid') return loaded;
      ({ references } = loaded);
      return deps.transaction(async (tx) => {
        await lockPolicies(tx);
        return store(deps, tx, loaded, { ...(await changes(tx, loaded)), by, traceId });
      });
    },
    publish: (flow, by, traceId) =>
      deps.transaction(async (tx) => {
        const made = await publishIn(tx, flow, by.id, publishVersion);
        const fact = publishedFact(deps, made, { actor: by, permission: 'flow.publish' }, traceId);
        if (made.created) await deps.chain.appendIn(tx, [fact]);
        return made;
      }),
    references: () => references,
  };
}

interface Changes {
  readonly held: Held;
  readonly removed: readonly Removed[];
}

/** For who holds the policies' lock: what is compared with stays in force until this transaction ends. */
async function changes(tx: Tx, { policySet: loaded, catalog, flows }: LoadedFolder): Promise<Changes> {
  const before = await currentPolicies(tx);
  const { formerQueues: _asRead, ...declared } = loaded;
  const last = before?.policySet ?? null;
  const policySet = {
    ...declared,
    ...formerQueues(declared.queues, knownQueues(last)),
    ...formerEnvironments(declared.environments, last),
  };
  const names = flows.map((one) => one.name).sort();
  const held: Held = { policySet, catalog: { ...catalog, policySet }, flows: names };
  if (before === null) return { held, removed: [] };
  const was: Held = { flows: [], ...before, catalog: before.catalog as Catalog };
  const isQueueGone = was.policySet.queues.some(({ name }) => policySet.formerQueues?.includes(name));
  const plans = isQueueGone ? [...(await plansInForce(tx)), ...flows.map(({ plan }) => plan)] : [];
  return { held, removed: takenAway(was, held, plans.flatMap(queuesNamed)) };
}

async function store(
  deps: PoliciesDeps,
  tx: Tx,
  loaded: LoadedFolder,
  { held, removed, by, traceId }: Changes & { readonly by: RecordActor; readonly traceId: string },
): Promise<StartResult> {
  // In one order everywhere, and the chain last: two that publish at once must not wait for each other.
  const byName = [...loaded.flows].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { changed, hash } = await putPolicies(tx, held);
  const flows: PublishedFlow[] = [];
  for (const flow of byName) flows.push(await publishIn(tx, flow, by.id, publishFolderVersion));
  const created = flows.filter((flow) => flow.created);
  const at = deps.now().toISOString();
  const names = byName.map((flow) => flow.name);
  const withdrawn = await withdrawMissing(tx, names, { by: by.id, at });
  const facts = [
    ...created.map((flow) => publishedFact(deps, flow, { actor: by, permission: 'policy.reload' }, traceId)),
    ...withdrawn.map((name) => withdrawnFact({ name, time: at, actor: by, traceId, cause: 'folder' })),
  ];
  const isNew = changed || created.length > 0 || withdrawn.length > 0;
  if (isNew) facts.push(reloadedFact(deps, { hash, created, removed }, by, traceId));
  if (facts.length > 0) await deps.chain.appendIn(tx, facts);
  return { status: 'loaded', changed: isNew, hash, flows, removed, warnings: loaded.warnings };
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
  { name, version, hash, environment }: PublishedFlow,
  { actor, permission }: Required<Pick<ServiceFact, 'actor' | 'permission'>>,
  traceId: string,
): ServiceFact {
  return {
    key: `flow.published:${name}:${version}`,
    type: 'flow.published',
    time: deps.now().toISOString(),
    actor,
    permission,
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
  {
    hash,
    created,
    removed,
  }: {
    readonly hash: string;
    readonly created: readonly PublishedFlow[];
    readonly removed: readonly Removed[];
  },
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
    data: {
      hash,
      flows: created.map(({ name, version }) => `${name}@${version}`),
      removed: removed.map(({ kind, name }) => `${kind} ${name}`),
    },
  };
}
