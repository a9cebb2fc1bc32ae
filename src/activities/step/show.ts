import type { Transition } from '../../engine/plan.js';
import type { Asking, Shown } from '../../engine/state.js';
import { previewCalls, type SentWith } from '../../executors/index.js';
import { consequence, summary } from './approval-sentences.js';

/** What the approver gets of this very transition: its sentences, and every call that it may make. */
export function show(transition: Transition, asking: Asking, sentWith?: SentWith): Shown {
  return {
    summary: summary(transition, asking),
    consequence: consequence(transition, asking),
    ...previewCalls(transition, asking, sentWith),
  };
}
