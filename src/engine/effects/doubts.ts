import { revokeOpen } from '../gates/changes.js';
import type { Draft, Notes } from '../run/draft.js';
import type { Action } from '../state.js';

// The list of effects of which nobody knows whether they have happened: whoever is asked to approve one again is told.

/** Puts the action on the list, and revokes open approvals of the same effect: what they show does not say that it is in doubt. */
export function noteDoubt(draft: Notes, { transition, idempotencyKey }: Action): void {
  draft.run.doubts = [...new Set([...(draft.run.doubts ?? []), idempotencyKey])];
  const why = `whether \`${transition}\` with these arguments has happened is not known: ask again`;
  revokeOpen(
    draft,
    why,
    ({ status, action }) => status !== 'denied' && action.idempotencyKey === idempotencyKey,
  );
}

/** Takes the action off the list: it has succeeded, and the next identical action gets another key. */
export function settleDoubt({ run }: Draft, { idempotencyKey }: Action): void {
  const left = (run.doubts ?? []).filter((key) => key !== idempotencyKey);
  if (left.length > 0) run.doubts = left;
  else delete run.doubts;
}
