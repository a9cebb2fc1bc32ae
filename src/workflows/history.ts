import { endsByLengthSince } from './versions.js';

// How long a history may get before the next one follows. Pure, since replays decide by it too.

/**
 * A worker that has lost a run from its cache, or that may not end a history beside a signal that has just come, replays
 * the whole history at about a millisecond an event, sixteen runs at once on one thread, and has five seconds for it. A worker
 * that replaces another does so for all of its runs. The server suggests an end only at 4,096 events.
 */
const manyEvents = 250;
/** The server ends a run whose history has 51,200. */
const mostEvents = 40_000;

/** `long`: the next history may follow once what waits can be left to it; `full`: it has to follow at once. */
export type HistoryLength = 'short' | 'long' | 'full';

/** `isSuggested`: the server suggests that the next history follows. `kernel`: the kernel version that the history was begun with. */
export function measureHistory(events: number, isSuggested: boolean, kernel: number): HistoryLength {
  if (events > mostEvents) return 'full';
  return isSuggested || (kernel >= endsByLengthSince && events >= manyEvents) ? 'long' : 'short';
}
