import timers from 'node:timers/promises';

/** Whether the caller of a request that waits still has the rights with which it asked. */
export interface Rights {
  /** It is too long ago that it was known: `areSame` has to be asked before anything is kept. */
  readonly areStale: () => boolean;
  /** False: they are others, or it is not known in time. */
  readonly areSame: () => Promise<boolean>;
}

/** How long a caller's rights are trusted while its request waits. */
const goodForMs = 1_000;
/** For so long others wait behind a request whose rights are asked for, since an issuer of tokens may not answer. */
const longestCheckMs = 2_000;

/** Begins with rights that are known. `hasSameRights` undefined: they cannot be asked for again. */
export function followRights(hasSameRights: (() => Promise<boolean>) | undefined): Rights {
  let knownAt = performance.now();
  const areStale = (): boolean => hasSameRights !== undefined && performance.now() - knownAt > goodForMs;
  return {
    areStale,
    areSame: async () => {
      if (hasSameRights === undefined || !areStale()) return true;
      const isSame = await inTime(hasSameRights());
      if (isSame) knownAt = performance.now();
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
