import { mostUnanswered } from '../model/limits.js';
import { makeCallOnce, patienceMs } from './run-queues.js';
import { whenStopping } from '../model/when-stopping.js';

// Submits that are to be foreseen wait in memory, and hold nothing: one begins once nobody has the turn of its run and its principal has
// a share free, and takes both at once. So a principal's others keep only itself waiting, at whatever run.

/** How many submits of one principal are foreseen at a time: each has a document, which may have megabytes. */
const mostOwnSubmits = 2;

/** How many submits of one principal wait, at all runs together. */
export const mostOwnWaiting = 200;

/** How long a submit waits that its principal's other submits have kept from a turn which it could have had. */
export const longestOwnMs = 20_000;

export interface Submitting {
  readonly run: string;
  /** The principal's id. */
  readonly principal: string;
}

export type SubmitTurn =
  /** `leaveShare`: nothing is foreseen any more. `end`: the submit is kept or refused. */
  | { readonly kind: 'turn'; readonly leaveShare: () => void; readonly end: () => void }
  /** Too many of the principal wait already: for this run; at all runs. */
  | { readonly kind: 'full' | 'fullOfPrincipal' }
  /** Its turn did not come: whenever its run was free, others came first; or it has asked again, and the time for that is over. */
  | { readonly kind: 'late' }
  /** Its run was free for it, at least once, and its principal's others kept it from beginning then. */
  | { readonly kind: 'crowded' }
  /** The process stops. */
  | { readonly kind: 'stopping' };

export interface SubmitTurns {
  /**
   * `again`: before all others, but those that came again earlier, within these milliseconds; taken before the submit's turn ends,
   * nobody comes in between who could.
   */
  take(submitting: Submitting, stopping: AbortSignal, again?: number | null): Promise<SubmitTurn>;
}

interface Waiting extends Submitting {
  readonly isAgain: boolean;
  readonly begin: () => void;
  /** See `crowded`. What has kept it counts, and not only what does when its time is over. */
  isCrowded: boolean;
}

export function makeSubmitTurns(): SubmitTurns {
  // Everybody who waits is in both, and none of them can begin: when a run or a share becomes free, the first that can begin takes it at once.
  const byRun = makeLines();
  const byPrincipal = makeLines();
  const runs = new Set<string>();
  const shares = new Map<string, number>();
  const hasShare = ({ principal }: Submitting): boolean => (shares.get(principal) ?? 0) < mostOwnSubmits;
  const mayBegin = (asked: Submitting): boolean => !runs.has(asked.run) && hasShare(asked);
  const serve = (line: Iterable<Waiting>): void => {
    for (const waiting of line) {
      if (mayBegin(waiting)) return waiting.begin();
      if (!runs.has(waiting.run)) waiting.isCrowded = true;
    }
  };
  const begin = ({ run, principal }: Submitting): SubmitTurn => {
    runs.add(run);
    shares.set(principal, (shares.get(principal) ?? 0) + 1);
    const leaveShare = (): void => {
      const rest = (shares.get(principal) ?? 1) - 1;
      if (rest === 0) shares.delete(principal);
      else shares.set(principal, rest);
      serve(byPrincipal.of(principal));
    };
    const end = (): void => {
      runs.delete(run);
      serve(byRun.of(run));
    };
    return { kind: 'turn', leaveShare: makeCallOnce(leaveShare), end: makeCallOnce(end) };
  };
  return {
    take: (submitting, stopping, again = null) => {
      const { run, principal } = submitting;
      if (stopping.aborted) return Promise.resolve({ kind: 'stopping' });
      if (mayBegin(submitting)) return Promise.resolve(begin(submitting));
      const full = again === null ? whyFull([...byPrincipal.of(principal)], run) : null;
      if (full !== null) return Promise.resolve(full);
      return new Promise((resolve) => {
        const leave = (turn: SubmitTurn): void => {
          clearTimeout(timer);
          unlisten();
          byRun.remove(run, waiting);
          byPrincipal.remove(principal, waiting);
          resolve(turn);
        };
        const unlisten = whenStopping(stopping, () => leave({ kind: 'stopping' }));
        const giveUp = (): void => {
          if (again !== null || !waiting.isCrowded) return leave({ kind: 'late' });
          timer = setTimeout(() => leave({ kind: 'crowded' }), longestOwnMs - patienceMs);
        };
        let timer = setTimeout(giveUp, again ?? patienceMs);
        const start = (): void => leave(begin(submitting));
        const isCrowded = !runs.has(run);
        const waiting: Waiting = { ...submitting, isAgain: again !== null, isCrowded, begin: start };
        byRun.add(run, waiting);
        byPrincipal.add(principal, waiting);
      });
    },
  };
}

/** Which limit a further submit of a principal would exceed, of which these wait; null: none. */
function whyFull(own: readonly Waiting[], run: string): SubmitTurn | null {
  if (own.filter((each) => each.run === run).length >= mostUnanswered) return { kind: 'full' };
  return own.length >= mostOwnWaiting ? { kind: 'fullOfPrincipal' } : null;
}

interface Lines {
  /** In the order in which they begin where they can. */
  of(name: string): Iterable<Waiting>;
  add(name: string, waiting: Waiting): void;
  remove(name: string, waiting: Waiting): void;
}

/** Lines by name; a line that is empty is deleted. */
function makeLines(): Lines {
  const lines = new Map<string, Set<Waiting>>();
  return {
    of: (name) => inOrder(lines.get(name) ?? new Set()),
    add: (name, waiting) => {
      lines.set(name, (lines.get(name) ?? new Set()).add(waiting));
    },
    remove: (name, waiting) => {
      const line = lines.get(name);
      line?.delete(waiting);
      if (line?.size === 0) lines.delete(name);
    },
  };
}

function* inOrder(line: ReadonlySet<Waiting>): Generator<Waiting> {
  for (const waiting of line) if (waiting.isAgain) yield waiting;
  for (const waiting of line) if (!waiting.isAgain) yield waiting;
}
