import type { Connection } from '@temporalio/client';
import type { Queryable } from '../db/index.js';
import { getSigningKey } from '../store/signing-keys.js';
import {
  claimTemporal,
  storeIdentity,
  temporalHomes,
  type Take,
  type TemporalHome,
} from '../store/temporal-home.js';

// A store and a task queue of a Temporal belong together. Where another deployment's process came to this store, it would find none of the
// runs' workflows in its own Temporal or on its own queue, and take them for lost: so it leaves them alone, and does not start.

export interface Belonging {
  /** Ends in an answer where Temporal and the store give one. `now`: no answer of a moment ago will do. */
  isOurs(namespace: string, when?: 'lately' | 'now'): Promise<boolean>;
  /** Asked before anything is written to the store, also before it is migrated. */
  whole(): Promise<Whole>;
  /** Why this process must not work with the store, for its operator; null: it may, as far as can be told now. */
  trouble(namespaces: readonly string[]): Promise<string | null>;
}

export type Whole =
  | { readonly status: 'ours' }
  /** Temporal does not answer, and nothing else shows that this deployment has worked with the store. */
  | { readonly status: 'unknown'; readonly why: string }
  | { readonly status: 'foreign'; readonly message: string };

export interface BelongingOptions {
  readonly store: Queryable;
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
  /** Nobody else can have come to this store: it and Temporal are of one data folder. */
  readonly alone: boolean;
  /** Told of a namespace that is another deployment's. */
  readonly onForeign: (message: string) => void;
}

const latelyMs = 30_000;
const patienceMs = 3_000;

function late(): Promise<'unknown'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('unknown'), patienceMs).unref();
  });
}

export function makeBelonging(options: BelongingOptions): Belonging {
  const { store, address, taskQueue, alone, onForeign } = options;
  let wasOurs = false;
  const known = new Map<string, { readonly isOurs: boolean; readonly at: number }>();
  const claim = async (namespace: string): Promise<string | null> => {
    const namespaceId = await options.namespaceId(namespace);
    if (namespaceId === null) return null;
    const mine = { namespace, namespaceId, taskQueue, address };
    const take = alone ? 'always' : await takeOf();
    const found = take === 'always' ? null : await homeOf(store, namespace);
    const message =
      found === null || isSame(found, mine) ? await claimBoth(mine, take) : sentence(found, mine);
    known.set(namespace, { isOurs: message === null, at: performance.now() });
    return message;
  };
  /** The queue first: a store is nobody's still where another store has the queue. */
  const claimBoth = async (mine: TemporalHome, take: Take): Promise<string | null> => {
    const own = await storeIdentity(store);
    const holder = await options.queueHolder(mine.namespace, own, options.ownTemporal ? 'always' : take);
    if (holder !== null && holder !== own) return queueTaken(mine, holder);
    // What was to be taken is nobody's still: somebody gave it away in between, and it is asked again.
    if (holder === null && take !== 'never') throw new Error('temporal does not say whose its task queue is');
    const found = await claimTemporal(store, mine, take);
    if (found === null) return givenAway;
    return isSame(found, mine) ? null : sentence(found, mine);
  };
  /** What this process has had and lost was given to another deployment, that of every other namespace with it. */
  const takeOf = async (): Promise<'where free' | 'never'> => {
    const had = [...known].filter(([, { isOurs }]) => isOurs).map(([namespace]) => namespace);
    if (had.length === 0) return wasOurs ? 'never' : 'where free';
    wasOurs = true;
    const homes = await temporalHomes(store);
    return had.every((namespace) => homes.some((home) => home.namespace === namespace))
      ? 'where free'
      : 'never';
  };
  return {
    isOurs: async (namespace, when = 'lately') => {
      const one = known.get(namespace);
      if (when === 'lately' && one !== undefined && performance.now() - one.at < latelyMs) return one.isOurs;
      try {
        const message = await claim(namespace);
        if (message !== null) onForeign(message);
      } catch (error) {
        // What was so a while ago is so while nobody can say anything else; nothing is taken for lost by it.
        if (when === 'now' || one === undefined) throw error;
      }
      return known.get(namespace)?.isOurs ?? false;
    },
    whole: () => whoseStore(options),
    trouble: async (namespaces) => {
      const found = await whoseStore(options);
      if (found.status === 'foreign') return found.message;
      for (const namespace of namespaces) {
        // A Temporal that does not answer says nothing: before anything is asked of it later, it is asked this.
        const message = await Promise.race([claim(namespace), late()]).catch(() => 'unknown' as const);
        if (message === 'unknown') return null;
        if (message !== null) return message;
      }
      return null;
    },
  };
}

async function homeOf(store: Queryable, namespace: string): Promise<TemporalHome | null> {
  return (await temporalHomes(store)).find((home) => home.namespace === namespace) ?? null;
}

function isSame(one: TemporalHome, other: TemporalHome): boolean {
  return one.namespaceId === other.namespaceId && one.taskQueue === other.taskQueue;
}

async function whoseStore(options: BelongingOptions): Promise<Whole> {
  const { store, taskQueue, alone } = options;
  const homes = alone ? [] : await temporalHomes(store);
  const [first] = homes;
  if (first === undefined) return { status: 'ours' };
  const other = homes.find((home) => home.taskQueue !== taskQueue);
  if (other !== undefined) return { status: 'foreign', message: sentence(other, { ...other, taskQueue }) };
  const found = await Promise.all(homes.map(async (home) => ({ home, id: await idIn(options, home) })));
  if (found.some(({ home, id }) => id.status === 'known' && id.id === home.namespaceId))
    return { status: 'ours' };
  const wrong = found.find(({ id }) => id.status === 'known' && id.id !== null) ?? found[0];
  const unknown = found.find(({ id }) => id.status === 'unknown')?.id;
  const theirs = wrong?.id.status === 'known' ? wrong.id.id : null;
  if (theirs === null && unknown?.status === 'unknown')
    return (await hasWorkedHere(options, homes)) ? { status: 'ours' } : unknown;
  return { status: 'foreign', message: sentence(wrong?.home ?? first, { ...first, namespaceId: theirs }) };
}

type Id =
  | { readonly status: 'known'; readonly id: string | null }
  | { readonly status: 'unknown'; readonly why: string };

async function idIn({ namespaceId }: BelongingOptions, { namespace }: TemporalHome): Promise<Id> {
  try {
    const id = await Promise.race([namespaceId(namespace), late()]);
    return id === 'unknown'
      ? { status: 'unknown', why: `no answer within ${patienceMs} ms` }
      : { status: 'known', id };
  } catch (error) {
    return { status: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
}

/** With the settings of now. Two deployments may have the same words for their Temporal's address, but not one signing key. */
async function hasWorkedHere(
  { store, address, signingKey }: BelongingOptions,
  homes: readonly TemporalHome[],
): Promise<boolean> {
  if (!homes.some((home) => home.address === null || home.address === address)) return false;
  return (await getSigningKey(store, signingKey)) !== null;
}

const givenAway =
  'this store was given to another deployment (`countersign migrate --forget-temporal`) while this process worked with it: nothing is done here any more; stop this process';

function queueTaken({ namespace, taskQueue }: TemporalHome, holder: string): string {
  return `the task queue \`${taskQueue}\` of this Temporal (namespace \`${namespace}\`) belongs to another deployment, whose store is \`${holder}\`: each would be given the other's runs. Give this one a task queue of its own (COUNTERSIGN_TASK_QUEUE); where the other one is gone, run \`countersign migrate --forget-temporal\` once`;
}

function sentence(
  theirs: TemporalHome,
  mine: Pick<TemporalHome, 'taskQueue'> & { readonly namespaceId: string | null },
): string {
  const what =
    theirs.taskQueue === mine.taskQueue
      ? `are in the Temporal whose namespace \`${theirs.namespace}\` has the id \`${theirs.namespaceId}\`, and TEMPORAL_ADDRESS leads to one ${mine.namespaceId === null ? 'without it' : `where it has \`${mine.namespaceId}\``}`
      : `are on the task queue \`${theirs.taskQueue}\` of Temporal, and COUNTERSIGN_TASK_QUEUE says \`${mine.taskQueue}\``;
  return `this store belongs to another deployment: its runs ${what}; nothing of them is touched. Give this process that deployment's settings, or a database of its own; where the deployment is to move here, stop all its processes and run \`countersign migrate --forget-temporal\` once`;
}

/** Asked of either kind of connection. */
export async function namespaceIdOf(
  service: {
    describeNamespace(request: { namespace: string }): Promise<{
      readonly namespaceInfo?: { readonly id?: string | null } | null;
    }>;
  },
  namespace: string,
): Promise<string | null> {
  try {
    const { namespaceInfo } = await service.describeNamespace({ namespace });
    return namespaceInfo?.id ?? null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === notFound) return null;
    throw error;
  }
}

/** With an end: a connection that is made when it is used waits for its server. */
export function inTime<T>(connection: Connection, ask: () => Promise<T>): Promise<T> {
  return connection.withDeadline(Date.now() + patienceMs, ask);
}

export function namespaceIdInTime(connection: Connection, namespace: string): Promise<string | null> {
  return inTime(connection, () => namespaceIdOf(connection.workflowService, namespace));
}

/** gRPC's status. */
const notFound = 5;

/**
 * Ends once this process may write to the store: nothing of another deployment's is migrated, reloaded or signed. Where
 * Temporal does not say whose the store is, it is waited for. Throws `ForeignStore`.
 */
export async function waitUntilOurs(
  { whole }: Pick<Belonging, 'whole'>,
  say: (line: string) => void,
): Promise<void> {
  for (let said = false; ; said = true) {
    const found = await whole();
    if (found.status === 'ours') return;
    if (found.status === 'foreign') throw new ForeignStore(found.message);
    if (!said)
      say(
        `waiting for Temporal (${found.why}) to say whether this store is of this deployment: nothing is written to it before`,
      );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** For the operator; it ends the process. */
export class ForeignStore extends Error {
  override readonly name = 'ForeignStore';
}
