/**
 * How much of a test file runs. `npm test` runs a share of a large test, which is another with each commit, and of a promise with
 * many variants the first; `npm run campaigns` runs all of it, in the same test files: those that use this module.
 */
export const isFull = process.env['TEST_SAMPLES'] === 'full';

/** Of a test or a suite, for its options: the campaigns run it, `npm test` the test beside it that stands for the same promise. */
export const inCampaigns = { skip: isFull ? false : 'the campaigns run it' };

/** For a test that is made from a table whose other rows are variants of this row. */
export const inCampaignsUnless = (isMain: boolean): { skip?: boolean | string } =>
  isMain ? {} : inCampaigns;

/** From the commit (`scripts/test.mjs`). */
const seed = Number(process.env['TEST_SEED'] ?? 0);

/** So many runs of a property: all, or an eighth. */
export const runsOf = (all: number): number => (isFull ? all : Math.ceil(all / 8));

/** What so many runs must have met at least: of an eighth far less than an eighth, since few runs differ much. */
export const leastOf = (all: number): number => (isFull ? all : Math.ceil(all / 50));

/** Whether the case with this number runs: all do, or every `every`th. */
export const isDrawn = (number: number, every: number): boolean => isFull || (number + seed) % every === 0;

/** All of them, or so many, spread over the whole list. */
export function draw<T>(all: readonly T[], count: number): readonly T[] {
  if (isFull) return all;
  const first = seed % all.length;
  return Array.from(
    { length: Math.min(count, all.length) },
    (_, each) => all[(first + Math.floor((each * all.length) / count)) % all.length] as T,
  );
}
