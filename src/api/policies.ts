import type { PolicySet } from '../model/policy-set.js';
import type { RecordActor } from '../model/records.js';
import type { ServiceChain, ServiceFact } from '../audit/index.js';
import type { Pool, Tx } from '../db/index.js';
import {
  formerEnvironments,
  formerQueues,
  knownQueues,
  loadWith,
  makeChecker,
  queuesNamed,
  takenAway,
  type Asker,
  type Catalog,
  type Checker,
  type CompiledFlow,
  type Finding,
  type FlowCheck,
  type Held,
  type FolderLoad,
  type LoadedFolder,
  type ReferencePlace,
  type Removed,
  type Unchecked,
} from '../policy/index.js';
import {
  publishFolderVersion,
  publishVersion,
  withdrawMissing,
  type FlowVersionRow,
} from '../store/flows.js';
import {
  currentPolicies,
  currentPolicySet,
  lockPolicies,
  plansInForce,
  policySetSeq,
  putPolicies,
} from '../store/policy.js';
import { publishedFlows } from '../store/publications.js';
import { publishedFact, reloadedFact, withdrawnFact } from './policy-facts.js';
import {
  publishIn,
  republish,
  type PublishedFlow,
  type Recompiled,
  type Republished,
  type WithdrawnFlow,
} from './publish.js';

export interface PoliciesDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly chain: ServiceChain;
  readonly folder: string;
  readonly now: () => Date;
}

export type ReloadResult =
  | {
      readonly status: 'loaded';
      readonly changed: boolean;
      readonly hash: string;
      readonly flows: readonly PublishedFlow[];
      readonly removed: readonly Removed[];
      /** Published by the API, and with an error under these policies. */
      readonly withdrawn: readonly WithdrawnFlow[];
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
  /** Null: other policies have come into force since it was checked, and it is to be checked against those. */
  publish(flow: CompiledFlow, by: RecordActor, traceId: string): Promise<PublishedFlow | null>;
  /** Where the folder names values that it does not hold, as this process has read it last. */
  references(): readonly ReferencePlace[];
}

interface Current {
  readonly seq: number;
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
}

export function makePolicies(deps: PoliciesDeps): Policies {
  let references: readonly ReferencePlace[] = [];
  const current = makeCurrent(deps);
  const checker = makeChecker();
  /** Of each flow that was checked: the policies that it was compiled against. */
  const compiledAgainst = new WeakMap<CompiledFlow, number>();
  const inForce = async (): Promise<Current> => {
    const found = await current();
    if (found === null) throw new Error('no policies are loaded');
    return found;
  };
  return {
    policySet: async () => (await current())?.policySet ?? null,
    catalog: async () => (await inForce()).catalog,
    check: async (text, media, asker) => {
      const { seq, catalog } = await inForce();
      const found = await checker.flow(text, media, catalog, asker);
      if (found.status === 'valid') compiledAgainst.set(found.flow, seq);
      return found;
    },
    ...makeLoading(deps, checker, (loaded) => ({ references } = loaded)),
    publish: (flow, by, traceId) =>
      deps.transaction(async (tx) => {
        await lockPolicies(tx);
        if (compiledAgainst.get(flow) !== (await policySetSeq(tx))) return null;
        const made = await publishIn(tx, flow, by.id, publishVersion);
        const fact = publishedFact(deps, made, { actor: by, permission: 'flow.publish' }, traceId);
        if (made.created) await deps.chain.appendIn(tx, [fact]);
        return made;
      }),
    references: () => references,
  };
}

/** What the store has, read again when another set has come into force. */
function makeCurrent({ pool }: PoliciesDeps): () => Promise<Current | null> {
  let cached: Current | null = null;
  return async () => {
    const seq = await policySetSeq(pool);
    if (seq === null || cached?.seq === seq) return cached;
    const loaded = await currentPolicies(pool);
    if (loaded !== null) cached = { seq, policySet: loaded.policySet, catalog: loaded.catalog as Catalog };
    return cached;
  };
}

type Loaded = Extract<FolderLoad, { status: 'loaded' }>;

/** `onLoaded`: of what has come into force. */
function makeLoading(
  deps: PoliciesDeps,
  checker: Checker,
  onLoaded: (loaded: Loaded) => void,
): Pick<Policies, 'reload' | 'start'> {
  const take = async (
    load: (given: Given) => Promise<FolderLoad | Unchecked>,
    putIn: (tx: Tx, loaded: Loaded, again: readonly Recompiled[]) => Promise<ReloadResult>,
  ): Promise<ReloadResult> => {
    const [before, rows] = [await currentPolicySet(deps.pool), await publishedFlows(deps.pool)];
    const given = (of: readonly FlowVersionRow[]): Given => ({
      knownQueues: knownQueues(before),
      published: of.map(({ source, definition }) => source ?? definition),
    });
    const loaded = await load(given(rows));
    if (loaded.status !== 'loaded') return loaded;
    const result = await deps.transaction(async (tx) => {
      await lockPolicies(tx);
      // What was published meanwhile is compiled while nothing else can be.
      const meanwhile = (await publishedFlows(tx)).filter((row) => !rows.some((one) => isSame(one, row)));
      const later = meanwhile.length === 0 ? null : await load(given(meanwhile));
      if (later !== null && later.status !== 'loaded') return later;
      const others = later === null ? [] : recompiled(meanwhile, later);
      return putIn(tx, loaded, [...recompiled(rows, loaded), ...others]);
    });
    if (result.status === 'loaded') onLoaded(loaded);
    return result;
  };
  return {
    reload: (by, traceId, confirm = []) =>
      take(
        (given) => checker.folder(deps.folder, given),
        async (tx, loaded, again) => {
          const { held, removed } = await changes(tx, loaded);
          if (removed.some((one) => one.confirm && !confirm.includes(one.name)))
            return { status: 'unconfirmed', removed };
          return store(deps, tx, { loaded, again }, { held, removed, by, traceId });
        },
      ),
    start: async (by, traceId) => {
      for (;;) {
        const result = await take(
          (given) => loadWith(deps.folder, given),
          async (tx, loaded, again) =>
            store(deps, tx, { loaded, again }, { ...(await changes(tx, loaded)), by, traceId }),
        );
        if (result.status === 'loaded' || result.status === 'invalid') return result;
      }
    },
  };
}

interface Given {
  readonly knownQueues: readonly string[];
  /** Texts of flows that were published by the API, as their authors sent them. */
  readonly published: readonly string[];
}

function isSame(one: FlowVersionRow, { name, environment, version }: FlowVersionRow): boolean {
  return one.name === name && one.environment === environment && one.version === version;
}

/** In an environment that is not declared nothing starts: what is published there is looked at when it comes back. */
function recompiled(
  rows: readonly FlowVersionRow[],
  { published, policySet }: Loaded,
): readonly Recompiled[] {
  const declared = new Set(policySet.environments.map(({ name }) => name));
  return rows.flatMap((row, index) => {
    const check = published[index];
    return check === undefined || !declared.has(row.environment) ? [] : [{ row, check }];
  });
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
  { loaded, again }: { readonly loaded: LoadedFolder; readonly again: readonly Recompiled[] },
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
  const missing = await withdrawMissing(tx, names, { by: by.id, at });
  const republished = await republish(tx, again, byName, { by: by.id, at });
  const { made, withdrawn } = republished;
  const facts = [
    ...created.map((flow) => publishedFact(deps, flow, { actor: by, permission: 'policy.reload' }, traceId)),
    ...missing.map((name) => withdrawnFact({ name, time: at, actor: by, traceId, cause: 'folder' })),
    ...republishedFacts(deps, republished, by, traceId),
  ];
  const isNew = changed || facts.length > 0;
  if (isNew) facts.push(reloadedFact(deps, { hash, created: [...created, ...made], removed }, by, traceId));
  if (facts.length > 0) await deps.chain.appendIn(tx, facts);
  const { warnings } = loaded;
  return { status: 'loaded', changed: isNew, hash, flows: [...flows, ...made], removed, withdrawn, warnings };
}

function republishedFacts(
  deps: PoliciesDeps,
  { made, withdrawn }: Republished,
  actor: RecordActor,
  traceId: string,
): ServiceFact[] {
  const why = 'the policies compile it to another plan than when it was published';
  const time = deps.now().toISOString();
  return [
    ...withdrawn.map(({ name, environment, reason }) =>
      withdrawnFact({ name, environment, time, actor, traceId, cause: 'policies', why: reason }),
    ),
    ...made.map((flow) =>
      publishedFact(deps, { ...flow, why }, { actor, permission: 'policy.reload' }, traceId),
    ),
  ];
}
