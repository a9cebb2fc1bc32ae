import { revokeOpen } from './approvals.js';
import type { Draft } from './draft.js';
import type { Action, RunState } from './state.js';

// What may have happened, and nobody knows: whoever is asked for it again is told.

/** What was asked of people before does not count: their cards do not say it. */
export function noteDoubt(draft: Draft, { transition, idempotencyKey }: Action): void {
  draft.run.doubts = withDoubt(draft.run, idempotencyKey);
  const why = `whether \`${transition}\` with these arguments has happened is not known: ask again`;
  revokeOpen(
    draft,
    why,
    ({ status, action }) => status !== 'denied' && action.idempotencyKey === idempotencyKey,
  );
}

export function withDoubt({ doubts = [] }: Pick<RunState, 'doubts'>, key: string): readonly string[] {
  return [...new Set([...doubts, key])];
}

/** It has succeeded: what is asked for from here on has another key. */
export function settleDoubt({ run }: Draft, { idempotencyKey }: Action): void {
  if (run.doubts !== undefined) run.doubts = run.doubts.filter((key) => key !== idempotencyKey);
}
