import { makeNamespaceClaim, type Claimed } from './namespace-claim.js';
import { waitOrLate, patienceMs } from './namespace-id.js';
import { findStoreOwner, type Deployment, type StoreOwner } from './store-owner.js';

// A store belongs to a single task queue of a single Temporal. A process of another deployment that is pointed at this store would
// find none of the runs' workflows in its own Temporal and take them for lost: so it does not start, and leaves the runs alone.

export interface StoreOwnership {
  /** Who owns the store. Takes nothing. Asked before anything is written to the store, the migrations included. */
  owner(): Promise<StoreOwner>;
  /** Takes those of these namespaces that nobody has. `unknown`: Temporal does not answer; `isOurs` asks again before anything is done. */
  take(namespaces: readonly string[]): Promise<StoreOwner>;
  /**
   * Whether this deployment may start, ring for or give up the runs of the namespace; takes the namespace where nobody has it.
   * Rejects where Temporal or the store gives no answer. `now`: asks again, whatever was answered a moment ago.
   */
  isOurs(namespace: string, when?: 'lately' | 'now'): Promise<boolean>;
}

const latelyMs = 30_000;

/** `onForeign` is told of a namespace that is another deployment's. */
export function makeStoreOwnership(
  deployment: Deployment,
  onForeign: (message: string) => void,
): StoreOwnership {
  const claim = makeNamespaceClaim(deployment);
  const lastAnswers = new Map<string, { readonly isOurs: boolean; readonly at: number }>();
  const claimNamespace = async (namespace: string): Promise<Claimed> => {
    const claimed = await claim(namespace);
    const { status } = claimed;
    if (status === 'ours' || status === 'foreign')
      lastAnswers.set(namespace, { isOurs: status === 'ours', at: performance.now() });
    else lastAnswers.delete(namespace);
    return claimed;
  };
  return {
    owner: () => findStoreOwner(deployment),
    take: async (namespaces) => {
      const owner = await findStoreOwner(deployment);
      if (owner.status === 'foreign') return owner;
      for (const namespace of namespaces) {
        const claimed = await claimInTime(claimNamespace(namespace));
        if (claimed.status === 'foreign' || claimed.status === 'unknown') return claimed;
      }
      return { status: 'ours' };
    },
    isOurs: async (namespace, when = 'lately') => {
      const last = lastAnswers.get(namespace);
      if (when === 'lately' && last !== undefined && performance.now() - last.at < latelyMs)
        return last.isOurs;
      try {
        const claimed = await claimNamespace(namespace);
        if (claimed.status === 'foreign') onForeign(claimed.message);
        return claimed.status === 'ours';
      } catch (error) {
        // The last answer stands until there is another one; no run is taken for lost by it.
        if (when === 'now' || last === undefined) throw error;
        return last.isOurs;
      }
    },
  };
}

/**
 * A late claim goes on and may take the namespace after this answer. That is harmless: it takes nothing if another deployment
 * has come since it read the homes, and what it takes `isOurs` would take next.
 */
async function claimInTime(claim: Promise<Claimed>): Promise<Claimed> {
  try {
    const claimed = await waitOrLate(claim);
    return claimed === 'late' ? { status: 'unknown', why: `no answer within ${patienceMs} ms` } : claimed;
  } catch (error) {
    return { status: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
}
