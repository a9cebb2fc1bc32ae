import type { Transition } from '../../engine/plan.js';
import type { Asking, Shown } from '../../engine/state.js';
import { previewCalls, type SentWith } from '../../executors/index.js';
import { writeConsequence, writeSummary } from './approval-sentences.js';

/** What the approver is shown of a transition: its sentences, and every call that it may make. */
export function show(transition: Transition, asking: Asking, sentWith?: SentWith): Shown {
  return {
    summary: writeSummary(transition, asking),
    consequence: writeConsequence(transition, asking),
    ...previewCalls(transition, asking, sentWith),
  };
}
