import timers from 'node:timers/promises';
import type { Tx } from '../db/index.js';

/** Whether the caller of a request that waits still has the rights with which it asked. */
export interface Rights {
  /** It is too long ago that it was known: `areSame` has to be asked before anything is kept. */
  readonly areStale: () => boolean;
  /** False: they are others, or it is not known in time. */
  readonly areSame: () => Promise<boolean>;
}

/** What is known behind a wait. `stale`: to be asked for again. `rightsChanged`: they are others, or that is not known in time. */
export type RightsNow = 'same' | 'stale' | 'rightsChanged';

/** Of a caller whose credential is not known: nothing is kept for it. */
export const unknownRights: Rights = { areStale: () => true, areSame: () => Promise.resolve(false) };

/** The caller of a request that has waited has other rights by now, or none, or they are not known in time: nothing of it is kept. */
export class RightsChanged extends Error {
  constructor() {
    super("while this request waited, its caller's rights changed, or could not be asked for again in time");
  }
}

/** Throws `RightsChanged`. To be called last in the transaction that keeps something. */
export async function requireRights(tx: Tx, rights: Rights): Promise<void> {
  // Writes are sent with the next statement: whatever they wait for has been waited for behind it.
  await tx.query('select 1');
  if (!(await rights.areSame())) throw new RightsChanged();
}

/** How long a caller's rights are trusted while its request waits. */
const goodForMs = 1_000;
/** For so long others wait behind a request whose rights are asked for, since an issuer of tokens may not answer. */
const longestCheckMs = 2_000;

/** `knownFrom`: when the credential began to be read, milliseconds of `performance.now()`. What it gave then is trusted from there on. */
export function followRights(hasSameRights: () => Promise<boolean>, knownFrom: number): Rights {
  let knownAt = knownFrom;
  const areStale = (): boolean => performance.now() - knownAt > goodForMs;
  return {
    areStale,
    areSame: async () => {
      if (!areStale()) return true;
      const askedAt = performance.now();
      const isSame = await inTime(hasSameRights());
      if (isSame) knownAt = askedAt;
      return isSame;
    },
  };
}

/** False where it is not known in time. */
async function inTime(asked: Promise<boolean>): Promise<boolean> {
  const ending = new AbortController();
  const late = timers.setTimeout(longestCheckMs, false, { signal: ending.signal }).catch(() => false);
  return Promise.race([asked, late]).finally(() => ending.abort());
}

/**
 * Keeps a request by `keep` with the rights that its caller has then. They are asked for outside the transaction of `keep`, which holds
 * a connection and may wait. Where they are stale behind that wait (`stale`, and nothing was kept), it is begun once more, with `isLast`:
 * they are asked for inside then, so that nobody waits without an end.
 */
export async function keepWithRights<T>(
  rights: Rights,
  keep: (check: () => Promise<RightsNow>) => Promise<T | 'stale' | 'rightsChanged'>,
): Promise<T | 'rightsChanged'> {
  for (let isLast = false; ; isLast = true) {
    if (!(await rights.areSame())) return 'rightsChanged';
    const kept = await keep(async () => {
      if (rights.areStale() && !isLast) return 'stale';
      return (await rights.areSame()) ? 'same' : 'rightsChanged';
    });
    if (kept !== 'stale') return kept;
  }
}
