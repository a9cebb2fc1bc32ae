import { isOpen } from '../../model/approval-status.js';
import { answer, type Draft } from './draft.js';

// How a run comes to rest: it waits for somebody. How it becomes stuck: `stuck.ts`.

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
