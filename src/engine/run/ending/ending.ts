import { actorOf, record, type Draft } from '../draft.js';
import type { Event, RunState } from '../../state.js';

// A run whose end is certain: nothing of it begins any more. An effect that is under way comes to its outcome first.

/** The run was cancelled, or its time ran out, while an effect was under way. */
export function isEnding({ cancelRequested, timeoutDue }: RunState): boolean {
  return cancelRequested !== null || timeoutDue;
}

/** The run's own time is up at `time` (ISO 8601). Also where `time` cannot be read, so that nothing begins then. */
export function isOver({ deadline }: Pick<RunState, 'deadline'>, time: string): boolean {
  return deadline !== null && !(Date.parse(time) < deadline);
}

/**
 * Is the run's time up before this event, whether or not its timer has gone? Asked of events that could begin something. A
 * cancel begins nothing; and the deadline of an approval comes before that of its run.
 */
export function endsBefore(run: RunState, event: Event): boolean {
  if (!isOver(run, event.time)) return false;
  return event.kind === 'message' ? event.message.body.kind !== 'cancel' : event.kind === 'outcome';
}

/** Puts on record that a cancel, taken while the last effect was under way, has come too late. */
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

/** Puts on record that the onEnter of a terminal state was not begun, since the run was to end before. */
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
