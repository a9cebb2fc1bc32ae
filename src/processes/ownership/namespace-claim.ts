import { isSameHome, type Take, type TemporalHome } from '../../store/processes/temporal-home.js';
import { describeForeignStore, givenAwayText, describeTakenQueue } from './foreign-text.js';
import { ownerFromHomes, type Deployment, type StoreOwner } from './store-owner.js';

// How a deployment takes a namespace that nobody has: the task queue in Temporal first, then the home in the store. In this
// order, a deployment whose queue belongs to another store does not take this store.

/** `absent`: this Temporal has no namespace of that name, and nothing was taken. */
export type Claimed = StoreOwner | { readonly status: 'absent' };

/** `lost`: the store was given to another deployment while this process had it. It stays lost for this process. */
export type Hold = 'neverHad' | 'has' | 'lost';

/** How often a claim is tried again because the store's homes have changed meanwhile. */
const mostTries = 5;

/** A function that claims a namespace for the deployment. It rejects where Temporal or the store does not answer. */
export function makeNamespaceClaim(deployment: Deployment): (namespace: string) => Promise<Claimed> {
  const { store, taskQueue, address, alone } = deployment;
  const had = new Map<string, TemporalHome>();
  let hold: Hold = 'neverHad';
  return async (namespace) => {
    const namespaceId = await deployment.namespaceId(namespace);
    if (namespaceId === null) return { status: 'absent' };
    const mine = { namespace, namespaceId, taskQueue, address };
    for (let tries = 0; tries < mostTries; tries += 1) {
      // Read before the store is asked, whose answer does not have what another claim takes meanwhile.
      const before = [...had.values()];
      const seen = alone ? [] : await store.homes();
      hold = holdOf(hold, before, seen);
      const claimed = await claimAs(deployment, mine, seen, takeOf(deployment, hold));
      if (claimed === 'changed') continue;
      if (claimed.status === 'ours' && !alone) had.set(namespace, mine);
      return claimed;
    }
    throw new Error('others give the store homes while this deployment takes it');
  };
}

export function holdOf(before: Hold, had: readonly TemporalHome[], homes: readonly TemporalHome[]): Hold {
  if (before === 'lost') return 'lost';
  if (had.length === 0) return 'neverHad';
  return had.every((earlier) => homes.some((home) => isSameHome(earlier, home))) ? 'has' : 'lost';
}

function takeOf({ alone }: Deployment, hold: Hold): Take {
  if (alone) return 'always';
  return hold === 'lost' ? 'never' : 'where free';
}

async function claimAs(
  deployment: Deployment,
  mine: TemporalHome,
  seen: readonly TemporalHome[],
  take: Take,
): Promise<StoreOwner | 'changed'> {
  const { store, queueHolder, ownTemporal } = deployment;
  const found = seen.find(({ namespace }) => namespace === mine.namespace);
  // A further namespace is taken only where the store is this deployment's already, or nobody's.
  const owner = found === undefined ? await ownerFromHomes(deployment, seen) : ownerOf(found, mine);
  if (owner.status !== 'ours') return owner;
  const own = await store.identity();
  const holder = await queueHolder(mine.namespace, own, ownTemporal ? 'always' : take);
  if (holder !== null && holder !== own)
    return { status: 'foreign', message: describeTakenQueue(mine, holder) };
  // The queue was to be taken and still has no holder: somebody gave it away in between. The caller asks again.
  if (holder === null && take !== 'never') throw new Error('temporal does not say whose its task queue is');
  const home = await store.take(mine, take, seen);
  if (home === 'changed') return 'changed';
  return home === null ? { status: 'foreign', message: givenAwayText } : ownerOf(home, mine);
}

function ownerOf(home: TemporalHome, mine: TemporalHome): StoreOwner {
  return isSameHome(home, mine)
    ? { status: 'ours' }
    : { status: 'foreign', message: describeForeignStore(home, mine) };
}
