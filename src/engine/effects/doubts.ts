import { revokeOpen } from '../gates/changes.js';
import type { Draft, Notes } from '../run/draft.js';
import type { Action } from '../state.js';

// What may have happened, and nobody knows: whoever is asked for it again is told.

/** What was asked of people before does not count: their cards do not say it. */
export function noteDoubt(draft: Notes, { transition, idempotencyKey }: Action): void {
  draft.run.doubts = [...new Set([...(draft.run.doubts ?? []), idempotencyKey])];
  const why = `whether \`${transition}\` with these arguments has happened is not known: ask again`;
  revokeOpen(
    draft,
    why,
    ({ status, action }) => status !== 'denied' && action.idempotencyKey === idempotencyKey,
  );
}

/** It has succeeded: what is asked for from here on has another key. */
export function settleDoubt({ run }: Draft, { idempotencyKey }: Action): void {
  const left = (run.doubts ?? []).filter((key) => key !== idempotencyKey);
  if (left.length > 0) run.doubts = left;
  else delete run.doubts;
}
