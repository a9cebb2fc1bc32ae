import type { PolicySet } from '../../model/policy-set.js';
import type { RecordActor } from '../../model/records.js';
import type { ServiceChain, ServiceFact } from '../../audit/index.js';
import type { Pool, Queryable, Tx } from '../../db/index.js';
import {
  formerEnvironments,
  formerQueues,
  knownQueues,
  queuesNamedAlone,
  findRemoved,
  type Catalog,
  type Checker,
  type Finding,
  type PolicyState,
  type ReadyFolder,
  type Removed,
} from '../../policy/index.js';
import { publishFolderVersion, withdrawMissing } from '../../store/flows/flows.js';
import {
  currentPolicies,
  currentPolicySet,
  lockPolicies,
  plansInForce,
  putPolicies,
} from '../../store/flows/policy.js';
import { forgetResults } from '../../store/flows/publications.js';
import { publishedFact, reloadedFact, withdrawnFact } from './policy-facts.js';
import { publishIn, republish, type PublishedFlow, type Republished, type WithdrawnFlow } from './publish.js';
import { compileAll, findNotCompiled, type Compilers, type Late, type Recompiled } from './recompile.js';

// The policies folder comes into force, and flows that were published by the API are compiled again under it.

export interface PoliciesDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly chain: ServiceChain;
  readonly folder: string;
  readonly now: () => Date;
  readonly checker?: Checker;
  /** Tells progress to whoever waits for a start. */
  readonly say?: (line: string) => void;
  /** Called at a start, before anything is stored. Throws if the store belongs to another deployment. */
  readonly assertOurs?: (policySet: PolicySet) => Promise<void>;
}

export type ReloadResult =
  | {
      readonly status: 'loaded';
      readonly changed: boolean;
      readonly hash: string;
      readonly flows: readonly PublishedFlow[];
      readonly removed: readonly Removed[];
      /** Flows that were published by the API and have an error under these policies. */
      readonly withdrawn: readonly WithdrawnFlow[];
      readonly warnings: readonly Finding[];
    }
  /** The folder takes something away that was not confirmed by its name: the policies stay as they were. */
  | { readonly status: 'unconfirmed'; readonly removed: readonly Removed[] }
  | { readonly status: 'busy' }
  /** Reading the folder takes too long, or compiling `flow`, which was published by the API. */
  | { readonly status: 'late'; readonly flow?: string }
  | {
      readonly status: 'invalid';
      readonly errors: readonly Finding[];
      readonly warnings: readonly Finding[];
    };

export type StartResult = Extract<ReloadResult, { readonly status: 'loaded' | 'invalid' }>;

/** Called last in the transaction that keeps something; throws where nothing may be kept. */
export type MayKeep = (tx: Tx) => Promise<void>;

interface LoadedBy {
  readonly by: RecordActor;
  readonly traceId: string;
}

/** Brings everything in the folder into force, or nothing. `confirm`: the names that may be taken away; null: any. */
export async function load(
  deps: PoliciesDeps,
  checker: Checker,
  asking: LoadedBy & {
    readonly confirm: readonly string[] | null;
    /** Null: no caller asked for it, but the process itself. */
    readonly mayKeep: MayKeep | null;
  },
  onLoaded: (loaded: ReadyFolder) => void,
): Promise<ReloadResult> {
  const { pool, transaction } = deps;
  const patient = asking.confirm === null;
  const given = {
    root: deps.folder,
    knownQueues: async () => knownQueues(await currentPolicySet(pool)),
    patient,
  };
  return checker.folder(given, async (loaded, compile): Promise<ReloadResult> => {
    if (loaded.status === 'invalid') return loaded;
    // Checked again below; here it saves compiling for a load that is refused anyway.
    const { removed: gone } = await compareWithCurrent(pool, loaded);
    if (isUnconfirmed(gone, asking.confirm)) return { status: 'unconfirmed', removed: gone };
    const onCompile = patient ? sayProgress(deps) : () => undefined;
    const compilers = { pool, transaction, compile, loaded, onCompile, patient };
    const known = await compileBefore(compilers);
    if ('status' in known) return known;
    if (patient) await deps.assertOurs?.(loaded.policySet);
    const result = await transaction(async (tx): Promise<ReloadResult> => {
      await lockPolicies(tx);
      // Flows published meanwhile are compiled here: under the lock no others can be published.
      const meanwhile = await findNotCompiled(tx, loaded.policySet, known);
      const later = await compileAll(meanwhile, compilers, 'hasty');
      if ('status' in later) return later;
      const { held, removed } = await compareWithCurrent(tx, loaded);
      if (isUnconfirmed(removed, asking.confirm)) return { status: 'unconfirmed', removed };
      const stored = await storeFolder(
        deps,
        tx,
        { loaded, again: [...known, ...later] },
        { held, removed, ...asking },
      );
      await asking.mayKeep?.(tx);
      return stored;
    });
    if (result.status === 'loaded') onLoaded(loaded);
    return result;
  });
}

function isUnconfirmed(removed: readonly Removed[], confirm: readonly string[] | null): boolean {
  return confirm !== null && removed.some((item) => item.confirm && !confirm.includes(item.name));
}

/** While flows are compiled, others may be published: how often to look again before the policies are locked. */
const rounds = 3;

async function compileBefore(compilers: Compilers): Promise<readonly Recompiled[] | Late> {
  const known: Recompiled[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const rows = await findNotCompiled(compilers.pool, compilers.loaded.policySet, known);
    if (rows.length === 0) break;
    const more = await compileAll(rows, compilers);
    if ('status' in more) return more;
    known.push(...more);
  }
  return known;
}

const progressMs = 5_000;

/** Tells whoever waits for a start how far the compiling has come. */
function sayProgress({ say }: PoliciesDeps): Compilers['onCompile'] {
  let last = performance.now();
  return (name, { at, of }) => {
    if (performance.now() - last < progressMs) return;
    last = performance.now();
    say?.(`compiling flow ${at} of ${of} that were published by the API: ${name}`);
  };
}

interface Comparison {
  readonly held: PolicyState;
  readonly removed: readonly Removed[];
}

/** What the folder would change. Under the policies' lock, what it is compared with stays in force until the transaction ends. */
async function compareWithCurrent(
  q: Queryable,
  { policySet: loaded, catalog, flows }: ReadyFolder,
): Promise<Comparison> {
  const before = await currentPolicies(q);
  const { formerQueues: _asRead, ...declared } = loaded;
  const last = before?.policySet ?? null;
  const policySet = {
    ...declared,
    ...formerQueues(declared.queues, knownQueues(last)),
    ...formerEnvironments(declared.environments, last),
  };
  const names = flows.map((flow) => flow.name).sort();
  const held: PolicyState = { policySet, catalog: { ...catalog, policySet }, flows: names };
  if (before === null) return { held, removed: [] };
  const was: PolicyState = { flows: [], ...before, catalog: before.catalog as Catalog };
  const isQueueGone = was.policySet.queues.some(({ name }) => policySet.formerQueues?.includes(name));
  const named = isQueueGone ? [...(await queuesInForce(q)), ...flows.flatMap(({ queues }) => queues)] : [];
  return { held, removed: findRemoved(was, held, named) };
}

async function queuesInForce(q: Queryable): Promise<readonly string[]> {
  const named = new Set<string>();
  for await (const plan of plansInForce(q)) for (const queue of queuesNamedAlone(plan)) named.add(queue);
  return [...named];
}

async function storeFolder(
  deps: PoliciesDeps,
  tx: Tx,
  { loaded, again }: { readonly loaded: ReadyFolder; readonly again: readonly Recompiled[] },
  { held, removed, by, traceId }: Comparison & LoadedBy,
): Promise<StartResult> {
  // Flows are locked in the same order everywhere, and the chain last: otherwise two publishers could block each other.
  const byName = [...loaded.flows].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { changed, hash } = await putPolicies(tx, held);
  const flows: PublishedFlow[] = [];
  for (const flow of byName) flows.push(await publishIn(tx, flow, by.id, publishFolderVersion));
  const created = flows.filter((flow) => flow.created);
  const at = deps.now().toISOString();
  const names = byName.map((flow) => flow.name);
  const missing = await withdrawMissing(tx, names, { by: by.id, at });
  const { basis } = loaded;
  const republished = await republish(tx, again, { flows: byName, basis }, { by: by.id, at });
  await forgetResults(tx, basis);
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
