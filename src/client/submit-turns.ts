import { mostUnanswered } from '../model/limits.js';
import { makeCallOnce, patienceMs } from './run-queues.js';

// Submits that are to be foreseen wait in memory, and hold nothing: one begins once nobody has the turn of its run and its principal has
// a share free, and takes both at once. So a principal's others keep only itself waiting, at whatever run.

/** How many submits of one principal are foreseen at a time: each has a document, which may have megabytes. */
const mostOwnSubmits = 2;

/** How long a submit waits that its principal's other submits keep from beginning. */
export const longestOwnMs = 20_000;

export interface Submitting {
  readonly run: string;
  /** The principal's id. */
  readonly principal: string;
}

export type SubmitTurn =
  /** `leaveShare`: nothing is foreseen any more. `end`: the submit is kept or refused. */
  | { readonly kind: 'turn'; readonly leaveShare: () => void; readonly end: () => void }
  /** Too many of the principal wait for this run already. */
  | { readonly kind: 'full' }
  | { readonly kind: 'late' }
  /** Late by what the principal itself has asked for. */
  | { readonly kind: 'crowded' }
  /** The process stops. */
  | { readonly kind: 'stopping' };

export interface SubmitTurns {
  /** `again`: before all others, within these milliseconds; taken before the submit's turn ends, nobody comes in between who could. */
  take(submitting: Submitting, stopping: AbortSignal, again?: number | null): Promise<SubmitTurn>;
}

interface Waiting extends Submitting {
  readonly begin: () => void;
}

export function makeSubmitTurns(): SubmitTurns {
  /** In the order in which they begin where they can. */
  const line: Waiting[] = [];
  const runs = new Set<string>();
  const shares = new Map<string, number>();
  const hasShare = ({ principal }: Submitting): boolean => (shares.get(principal) ?? 0) < mostOwnSubmits;
  const mayBegin = (waiting: Waiting): boolean => !runs.has(waiting.run) && hasShare(waiting);
  const serve = (): void => {
    for (let next = line.find(mayBegin); next !== undefined; next = line.find(mayBegin)) next.begin();
  };
  const begin = ({ run, principal }: Submitting): SubmitTurn => {
    runs.add(run);
    shares.set(principal, (shares.get(principal) ?? 0) + 1);
    const leaveShare = (): void => {
      const rest = (shares.get(principal) ?? 1) - 1;
      if (rest === 0) shares.delete(principal);
      else shares.set(principal, rest);
      serve();
    };
    const end = (): void => {
      runs.delete(run);
      serve();
    };
    return { kind: 'turn', leaveShare: makeCallOnce(leaveShare), end: makeCallOnce(end) };
  };
  return {
    take: (submitting, stopping, again = null) => {
      const { run, principal } = submitting;
      if (stopping.aborted) return Promise.resolve({ kind: 'stopping' });
      const own = line.filter((each) => each.run === run && each.principal === principal);
      if (again === null && own.length >= mostUnanswered) return Promise.resolve({ kind: 'full' });
      return new Promise((resolve) => {
        const leave = (turn: SubmitTurn): void => {
          clearTimeout(timer);
          stopping.removeEventListener('abort', stop);
          line.splice(line.indexOf(waiting), 1);
          resolve(turn);
        };
        const stop = (): void => leave({ kind: 'stopping' });
        const giveUp = (): void => {
          if (again !== null || hasShare(submitting)) return leave({ kind: 'late' });
          timer = setTimeout(() => leave({ kind: 'crowded' }), longestOwnMs - patienceMs);
        };
        let timer = setTimeout(giveUp, again ?? patienceMs);
        const waiting = { run, principal, begin: () => leave(begin(submitting)) };
        stopping.addEventListener('abort', stop);
        if (again === null) line.push(waiting);
        else line.unshift(waiting);
        // Nobody else in the line can begin by this.
        if (mayBegin(waiting)) waiting.begin();
      });
    },
  };
}
