import { endsByLengthSince } from './versions.js';

// How long a history may get before another one follows. Pure: also replays decide by it.

/**
 * A worker that has lost a run from its cache, or that may not end a history beside a signal that has just come, replays
 * all of it, at about a millisecond an event, sixteen runs at once on one thread, in five seconds: a worker that was
 * replaced has to answer for all of its runs. The server suggests an end at 4,096 events only.
 */
const manyEvents = 250;
/** The server ends a run whose history has 51,200. */
const mostEvents = 40_000;

/** `long`: another may follow it once what waits can be left to it; `full`: at once. */
export type HistoryLength = 'short' | 'long' | 'full';

/** `isSuggested`: the server says that another history should follow. `kernel`: the version that the history was begun with. */
export function measureHistory(events: number, isSuggested: boolean, kernel: number): HistoryLength {
  if (events > mostEvents) return 'full';
  return isSuggested || (kernel >= endsByLengthSince && events >= manyEvents) ? 'long' : 'short';
}
