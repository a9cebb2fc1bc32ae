import { isOpen } from '../../model/approval-status.js';
import { truncate } from '../../model/values/text.js';
import type { Problem, StuckOn } from '../state.js';
import { answer, record, type Draft } from './draft.js';

// How a run comes to rest: it waits for somebody, or is stuck.

/** Nothing executes: the run waits for a caller or a decision, and whoever waited for this is answered. */
export function settle(draft: Draft): void {
  const { run } = draft;
  run.executing = null;
  run.status = run.approvals.some((approval) => isOpen(approval.status)) ? 'waiting' : 'running';
  answerWaiting(draft);
}

export function answerWaiting(draft: Draft): void {
  const waiting = draft.run.waitingAnswer;
  if (waiting === null) return;
  draft.run.waitingAnswer = null;
  answer(draft, waiting.messageId, {
    status: 'executed',
    transition: waiting.transition,
    action: waiting.action,
    chain: draft.run.chain,
  });
}

/** Characters. A state may have thousands of transitions, each with a reason, and lists of runs show their problems. */
const longestProblem = 8_000;

export function stick(draft: Draft, full: Problem, on: StuckOn): void {
  const { run } = draft;
  const problem = { ...full, message: truncate(full.message, longestProblem) };
  run.executing = null;
  run.status = 'stuck';
  run.problem = problem;
  run.stuckOn = on;
  run.stuckAt = draft.key;
  record(draft, 'run.stuck', {
    data: {
      code: problem.code,
      message: problem.message,
      state: run.state,
      ...(problem.errorClass === undefined ? {} : { errorClass: problem.errorClass }),
    },
  });
  answerWaiting(draft);
}
