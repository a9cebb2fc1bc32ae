import type { Take, TemporalHome } from '../store/temporal-home.js';
import { foreignText } from './foreign-text.js';
import { waitOrLate, patienceMs } from './namespace-id.js';

// Who owns the store? The store names the homes of its runs: each a namespace, by Temporal's own id of it, and a task queue. A
// deployment owns the store where one of the homes is a namespace of its Temporal. Asking takes nothing.

/** One deployment, as the settings of this process say it, and whom it asks. */
export interface Deployment {
  readonly store: HomeStore;
  /** Of Temporal, as `TEMPORAL_ADDRESS` says it. */
  readonly address: string;
  /** Id of the key with which this deployment signs: a store that has it has been worked with by this deployment. */
  readonly signingKey: string;
  readonly taskQueue: string;
  /** Temporal's id of a namespace; null: it has none of that name. */
  readonly namespaceId: (namespace: string) => Promise<string | null>;
  /** The id of the store that the task queue is worked for, once this one has asked for it; null: nobody's. */
  readonly queueHolder: (namespace: string, store: string, take: Take) => Promise<string | null>;
  /** That Temporal is of this process's data folder: whatever store it was worked for before, it is worked for this one. */
  readonly ownTemporal: boolean;
  /** No other deployment can reach this store: store and Temporal are of one data folder. */
  readonly alone: boolean;
}

/** What is asked of the store. */
export interface HomeStore {
  /** Empty: it is nobody's yet. */
  readonly homes: () => Promise<readonly TemporalHome[]>;
  readonly hasSigningKey: (keyId: string) => Promise<boolean>;
  readonly identity: () => Promise<string>;
  /** `changed`: the store's homes are not those that were seen any more, and nothing was taken. */
  readonly take: (
    mine: TemporalHome,
    take: Take,
    seen: readonly TemporalHome[],
  ) => Promise<TemporalHome | null | 'changed'>;
}

export type StoreOwner =
  /** This deployment's, or nobody's so that it may take it. */
  | { readonly status: 'ours' }
  /** Temporal does not say, and nothing else shows that this deployment has worked with the store. */
  | { readonly status: 'unknown'; readonly why: string }
  | { readonly status: 'foreign'; readonly message: string };

/** What the Temporal of this process has under the namespace of a home. */
type JudgedHome =
  | { readonly home: TemporalHome; readonly has: 'mine' | 'none' }
  | { readonly home: TemporalHome; readonly has: 'other'; readonly id: string }
  | { readonly home: TemporalHome; readonly has: 'unknown'; readonly why: string };

export async function findStoreOwner(deployment: Deployment): Promise<StoreOwner> {
  return deployment.alone ? { status: 'ours' } : ownerFromHomes(deployment, await deployment.store.homes());
}

/** One home that is this deployment's makes the store its own, whatever the others are. */
export async function ownerFromHomes(
  deployment: Deployment,
  homes: readonly TemporalHome[],
): Promise<StoreOwner> {
  const { taskQueue } = deployment;
  const [first] = homes;
  if (first === undefined) return { status: 'ours' };
  const elsewhere = homes.find((home) => home.taskQueue !== taskQueue);
  if (elsewhere !== undefined) return makeForeignOwner(elsewhere, taskQueue, null);
  const judged = await Promise.all(homes.map((home) => judgeHome(deployment, home)));
  if (judged.some(({ has }) => has === 'mine')) return { status: 'ours' };
  const other = judged.find((home) => home.has === 'other');
  if (other !== undefined) return makeForeignOwner(other.home, taskQueue, other.id);
  const unknown = judged.find((home) => home.has === 'unknown');
  if (unknown === undefined) return makeForeignOwner(first, taskQueue, null);
  return (await hasWorkedHere(deployment, homes))
    ? { status: 'ours' }
    : { status: 'unknown', why: unknown.why };
}

function makeForeignOwner(theirs: TemporalHome, taskQueue: string, namespaceId: string | null): StoreOwner {
  return { status: 'foreign', message: foreignText(theirs, { taskQueue, namespaceId }) };
}

async function judgeHome(deployment: Deployment, home: TemporalHome): Promise<JudgedHome> {
  const found = await findId(deployment, home);
  if (found.status === 'unknown') return { home, has: 'unknown', why: found.why };
  if (found.id === null) return { home, has: 'none' };
  return found.id === home.namespaceId ? { home, has: 'mine' } : { home, has: 'other', id: found.id };
}

type FoundId =
  | { readonly status: 'known'; readonly id: string | null }
  | { readonly status: 'unknown'; readonly why: string };

async function findId({ namespaceId }: Deployment, { namespace }: TemporalHome): Promise<FoundId> {
  try {
    const id = await waitOrLate(namespaceId(namespace));
    return id === 'late'
      ? { status: 'unknown', why: `no answer within ${patienceMs} ms` }
      : { status: 'known', id };
  } catch (error) {
    return { status: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
}

/** With today's settings. Two deployments may write their Temporal's address alike, but they have no signing key in common. */
async function hasWorkedHere(
  { store, address, signingKey }: Deployment,
  homes: readonly TemporalHome[],
): Promise<boolean> {
  if (!homes.some((home) => home.address === null || home.address === address)) return false;
  return store.hasSigningKey(signingKey);
}
