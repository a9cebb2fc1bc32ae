import type { Take, TemporalHome } from '../../store/processes/temporal-home.js';
import { describeForeignStore } from './foreign-text.js';
import { waitOrLate, patienceMs } from './namespace-id.js';

// Who owns the store? The store names the homes of its runs: each is a namespace, by Temporal's own id of it, and a task queue. A
// deployment owns the store where all homes are on its task queue, and one of them is a namespace of its Temporal. Asking takes
// nothing.

/** The deployment of this process, by its settings, and what is asked to find the owner. */
export interface Deployment {
  readonly store: HomeStore;
  /** The address of Temporal, as `TEMPORAL_ADDRESS` says it. */
  readonly address: string;
  /** Id of the key with which this deployment signs: this deployment has worked with every store that has the key. */
  readonly signingKey: string;
  readonly taskQueue: string;
  /** Temporal's id of a namespace; null: it has none of that name. */
  readonly namespaceId: (namespace: string) => Promise<string | null>;
  /** Takes the task queue for the store as far as `take` allows; gives the id of the store that the queue is worked for then; null: none. */
  readonly queueHolder: (namespace: string, store: string, take: Take) => Promise<string | null>;
  /** Temporal is of this process's data folder: its queue is taken for this store, whatever store it was worked for before. */
  readonly ownTemporal: boolean;
  /** No other deployment can reach this store: store and Temporal are of one data folder. */
  readonly alone: boolean;
}

/** What the store is asked. */
export interface HomeStore {
  /** The homes of the store's runs. Empty: the store is nobody's yet. */
  readonly homes: () => Promise<readonly TemporalHome[]>;
  readonly hasSigningKey: (keyId: string) => Promise<boolean>;
  readonly identity: () => Promise<string>;
  /** Takes the home `mine` as far as `take` allows, and gives the home that the namespace has then; null: none. `changed`: the homes are no longer those in `seen`, and nothing was taken. */
  readonly take: (
    mine: TemporalHome,
    take: Take,
    seen: readonly TemporalHome[],
  ) => Promise<TemporalHome | null | 'changed'>;
}

export type StoreOwner =
  /** The store is this deployment's, or nobody's, so that this deployment may take it. */
  | { readonly status: 'ours' }
  /** Temporal does not say, and nothing else shows that this deployment has worked with the store. */
  | { readonly status: 'unknown'; readonly why: string }
  | { readonly status: 'foreign'; readonly message: string };

/** What this process's Temporal has under the namespace of a home. */
type JudgedHome =
  | { readonly home: TemporalHome; readonly has: 'mine' | 'none' }
  | { readonly home: TemporalHome; readonly has: 'other'; readonly id: string }
  | { readonly home: TemporalHome; readonly has: 'unknown'; readonly why: string };

export async function findStoreOwner(deployment: Deployment): Promise<StoreOwner> {
  return deployment.alone ? { status: 'ours' } : ownerFromHomes(deployment, await deployment.store.homes());
}

/**
 * A home on another task queue makes the store another deployment's. Where all are on this one, a single home in this Temporal
 * makes the store this deployment's.
 */
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
  return { status: 'foreign', message: describeForeignStore(theirs, { taskQueue, namespaceId }) };
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

/** Has this deployment worked with the store under its present settings? Two deployments may have the same Temporal address, but never the same signing key. */
async function hasWorkedHere(
  { store, address, signingKey }: Deployment,
  homes: readonly TemporalHome[],
): Promise<boolean> {
  if (!homes.some((home) => home.address === null || home.address === address)) return false;
  return store.hasSigningKey(signingKey);
}
