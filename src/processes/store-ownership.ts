import { makeNamespaceClaim, type Claimed } from './namespace-claim.js';
import { waitOrLate, patienceMs } from './namespace-id.js';
import { findStoreOwner, type Deployment, type StoreOwner } from './store-owner.js';

// A store and a task queue of a Temporal belong together. Where another deployment's process came to this store, it would find none of the
// runs' workflows in its own Temporal or on its own queue, and take them for lost: so it leaves them alone, and does not start.

export interface StoreOwnership {
  /** Whose the store is. Asked before anything is written to it, also before it is migrated: takes nothing. */
  owner(): Promise<StoreOwner>;
  /** Takes what of these namespaces is nobody's. `unknown`: Temporal does not say; `isOurs` asks it before anything is done. */
  take(namespaces: readonly string[]): Promise<StoreOwner>;
  /**
   * Whether the runs of the namespace are this deployment's to start, ring for or give up; takes them where they are nobody's.
   * Rejects where Temporal or the store gives no answer. `now`: no answer of a moment ago will do.
   */
  isOurs(namespace: string, when?: 'lately' | 'now'): Promise<boolean>;
}

const latelyMs = 30_000;

/** `onForeign` is told of a namespace that is another deployment's. */
export function makeStoreOwnership(deployment: Deployment, onForeign: (message: string) => void): StoreOwnership {
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
        // What was so a while ago is so while nobody can say anything else; nothing is taken for lost by it.
        if (when === 'now' || last === undefined) throw error;
        return last.isOurs;
      }
    },
  };
}

/**
 * A claim that is late goes on, and may take the namespace after this answer: that is harmless, since it takes by the homes
 * that it has seen, none if another deployment has come since, and what it takes is what `isOurs` would take next.
 */
async function claimInTime(claim: Promise<Claimed>): Promise<Claimed> {
  try {
    const claimed = await waitOrLate(claim);
    return claimed === 'late' ? { status: 'unknown', why: `no answer within ${patienceMs} ms` } : claimed;
  } catch (error) {
    return { status: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
}
