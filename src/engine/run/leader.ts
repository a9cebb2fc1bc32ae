import type { Principal } from '../../model/principal.js';
import type { Draft } from './draft.js';
import type { Action, RunState } from '../state.js';

// In whose name the runtime goes on.

/** Whose message led to where the run stands. */
export function leaderOf({ ledBy, startedBy }: RunState): Principal | null {
  if (ledBy !== undefined) return ledBy;
  const { id, kind } = startedBy;
  return kind === 'runtime' ? null : { id, kind, roles: [], permissions: [] };
}

/** Who asked for the step that led here, and who denied it; after a time-out, who started the run. */
export function setLeader(run: Draft['run'], action: Action | null, deniers: readonly string[]): void {
  // A step that the runtime took was led to by whoever led to what was before it.
  const before = action?.byRuntime === true ? (run.ledWith ?? []) : [];
  delete run.ledBy;
  delete run.ledWith;
  if (before.length + deniers.length > 0) run.ledWith = [...new Set([...before, ...deniers])];
  if (action?.requester === null || action?.requester === undefined) return;
  const { id, kind } = action.requester;
  run.ledBy = { id, kind, roles: [], permissions: [] };
}
