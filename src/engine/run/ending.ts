import { actorOf, record, type Draft } from './draft.js';
import type { Event, RunState } from '../state.js';

// A run whose end is certain: nothing of it begins any more. What is under way has its outcome first.

/** It was cancelled, or its time ran out, while an effect was under way. */
export function isEnding({ cancelRequested, timeoutDue }: RunState): boolean {
  return cancelRequested !== null || timeoutDue;
}

/** Its own time is up by then. A time that is none is after every other: nothing begins at it. */
export function isOver({ deadline }: Pick<RunState, 'deadline'>, time: string): boolean {
  return deadline !== null && !(Date.parse(time) < deadline);
}

/**
 * Does the run's time end before this event, whether or not its timer has gone? What could begin something finds it ended.
 * A cancel begins nothing, and what time says to an approval comes before what it says to the run.
 */
export function endsBefore(run: RunState, event: Event): boolean {
  if (!isOver(run, event.time)) return false;
  return event.kind === 'message' ? event.message.body.kind !== 'cancel' : event.kind === 'outcome';
}

/** A cancel that was taken while the last effect was under way has not cancelled anything. */
export function noteLateCancel(draft: Draft): void {
  const { cancelRequested, state } = draft.run;
  if (cancelRequested === null) return;
  const reason = `the cancel came too late: the effect that was under way led to the end of the run, in state \`${state}\``;
  record(draft, 'transition.rejected', {
    actor: actorOf(cancelRequested.by),
    causation: cancelRequested.messageId,
    action: { transition: 'cancel' },
    policy: { rule: 'RUN_CLOSED', verdict: 'refused', reason },
    data: { code: 'RUN_CLOSED', message: reason },
  });
}

/** What a terminal state does on entry was not begun: the run was to end before. */
export function noteUnentered(draft: Draft, onEnter: string): void {
  const { cancelRequested, state } = draft.run;
  const why = cancelRequested === null ? 'its time was up' : 'it was cancelled';
  const reason = `\`${onEnter}\` was not begun: ${why} before the run came to state \`${state}\``;
  record(draft, 'transition.rejected', {
    action: { transition: onEnter },
    policy: { rule: 'RUN_CLOSED', verdict: 'refused', reason },
    data: { code: 'RUN_CLOSED', message: reason },
  });
}
