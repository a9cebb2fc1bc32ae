import type { Principal } from '../../model/principal.js';
import type { Draft } from './draft.js';
import type { Action, RunState } from '../state.js';

// In whose name the runtime goes on.

/** Whose message led to the state of the run; null: nobody's. */
export function leaderOf({ ledBy, startedBy }: RunState): Principal | null {
  if (ledBy !== undefined) return ledBy;
  const { id, kind } = startedBy;
  return kind === 'runtime' ? null : { id, kind, roles: [], permissions: [] };
}

/** Notes who led the run to its new state: the requester of the step and those who denied it; after a time-out, nobody but who started the run. */
export function setLeader(run: Draft['run'], action: Action | null, deniers: readonly string[]): void {
  // A step of the runtime has the same leaders as the steps before it.
  const before = action?.byRuntime === true ? (run.ledWith ?? []) : [];
  delete run.ledBy;
  delete run.ledWith;
  if (before.length + deniers.length > 0) run.ledWith = [...new Set([...before, ...deniers])];
  if (action?.requester === null || action?.requester === undefined) return;
  const { id, kind } = action.requester;
  run.ledBy = { id, kind, roles: [], permissions: [] };
}
