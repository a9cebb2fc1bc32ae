import type { Principal } from '../../../model/principal.js';
import { revokeOpen } from '../../gates/changes.js';
import { problemAtEnd } from '../../effects/doubt.js';
import { actorOf, record, type Draft } from '../draft.js';
import { noteLateCancel, noteUnentered } from './ending.js';
import { answerWaiting } from '../settle.js';
import type { ClosedStatus, Problem } from '../../state.js';

// How a run ends.

export function close(
  draft: Draft,
  status: ClosedStatus,
  by: Principal | null = null,
  problem: Problem | null = null,
): void {
  const { run } = draft;
  revokeOpen(draft, `the run is ${status.replace('_', ' ')}`);
  const left = problemAtEnd(run);
  run.executing = null;
  run.status = status;
  run.stuckOn = null;
  run.problem = problem ?? left ?? (status === 'failed' ? failureOf(run) : null);
  answerWaiting(draft);
  if (status !== 'cancelled') noteLateCancel(draft);
  record(draft, `run.${status}`, {
    actor: actorOf(by),
    data: {
      state: run.state,
      version: run.version,
      ...(left === null ? {} : { code: left.code, message: left.message }),
    },
  });
  draft.effects.push({ kind: 'close', status });
}

function failureOf({ state }: Draft['run']): Problem {
  const message = `the run ended in state \`${state}\`, whose outcome is failure`;
  return { code: 'OUTCOME_FAILURE', message };
}

/** Ends a run that was to end before it came to its terminal state: the onEnter of that state is not begun. */
export function closeUnentered(draft: Draft, onEnter: string): void {
  const { cancelRequested, state } = draft.run;
  noteUnentered(draft, onEnter);
  if (cancelRequested !== null) return close(draft, 'cancelled', cancelRequested.by);
  if (draft.run.overdue !== true) record(draft, 'timeout.fired', { data: { state } });
  close(draft, 'timed_out');
}
