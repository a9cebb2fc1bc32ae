/**
 * Whether the test files that use this module run in full, as `npm run campaigns` runs them. `npm test` runs a share of each large
 * test, another share with each commit; of a promise with many variants it runs the first.
 */
export const isFull = process.env['TEST_SAMPLES'] === 'full';

/** The options of a test or a suite that only the campaigns run; `npm test` runs another test for the same promise. */
export const inCampaigns = { skip: isFull ? false : 'the campaigns run it' };

/** The options of a test for a row of a table: `npm test` runs only the main row, since the others are variants of it. */
export const inCampaignsUnless = (isMain: boolean): { skip?: boolean | string } =>
  isMain ? {} : inCampaigns;

/** `scripts/test.mjs` makes it from the commit. */
const seed = Number(process.env['TEST_SEED'] ?? 0);

/** How many runs of a property to make: all, or an eighth. */
export const runsOf = (all: number): number => (isFull ? all : Math.ceil(all / 8));

/** How often the runs must have met something: an eighth of the runs meets far less than an eighth, since few runs differ much. */
export const leastOf = (all: number): number => (isFull ? all : Math.ceil(all / 50));

/** Whether the case with this number runs: in full each case does, else every `every`th. */
export const isDrawn = (number: number, every: number): boolean => isFull || (number + seed) % every === 0;

/** Draws `count` items, spread over the whole list; in full it gives them all. */
export function draw<T>(all: readonly T[], count: number): readonly T[] {
  if (isFull) return all;
  const first = seed % all.length;
  return Array.from(
    { length: Math.min(count, all.length) },
    (_, each) => all[(first + Math.floor((each * all.length) / count)) % all.length] as T,
  );
}
