import type { Principal } from '../../model/principal.js';
import { revokeOpen } from '../gates/approvals.js';
import { problemLeft } from '../effects/doubt.js';
import { actorOf, record, type Draft } from './draft.js';
import { noteLateCancel, noteUnentered } from './ending.js';
import { answerWaiting } from './flow.js';
import type { Problem } from '../state.js';

// How a run ends.

const closing = {
  completed: 'run.completed',
  cancelled: 'run.cancelled',
  failed: 'run.failed',
  timed_out: 'run.timed_out',
} as const;

export function close(
  draft: Draft,
  status: keyof typeof closing,
  by: Principal | null = null,
  problem: Problem | null = null,
): void {
  const { run } = draft;
  revokeOpen(draft, `the run is ${status.replace('_', ' ')}`);
  const left = problemLeft(run);
  run.executing = null;
  run.status = status;
  run.stuckOn = null;
  run.problem = problem ?? left ?? (status === 'failed' ? failureOf(run) : null);
  answerWaiting(draft);
  if (status !== 'cancelled') noteLateCancel(draft);
  record(draft, closing[status], {
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

/** In a terminal state whose onEnter is not begun: the run was to end before it came there. */
export function closeUnentered(draft: Draft, onEnter: string): void {
  const { cancelRequested, state } = draft.run;
  noteUnentered(draft, onEnter);
  if (cancelRequested !== null) return close(draft, 'cancelled', cancelRequested.by);
  if (draft.run.overdue !== true) record(draft, 'timeout.fired', { data: { state } });
  close(draft, 'timed_out');
}
