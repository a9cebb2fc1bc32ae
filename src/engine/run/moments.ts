import { isOpen } from '../../model/approval-status.js';
import { closedStatuses, type Event, type RunState } from '../state.js';

// When time has something to say to a run. Its one timer is set by this, and what is due is found by it: a deadline is
// compared with the time, never believed.

const halting: readonly string[] = ['STEP_FAILED', 'HISTORY_FORKED'];

/**
 * Our own code could not take a step of it, or store and history tell of two pasts: whatever comes, nothing of it begins
 * and nothing moves it until an operator has had it go on, or cancelled it.
 */
export function isHalted({ status, problem }: Pick<RunState, 'status' | 'problem'>): boolean {
  return status === 'stuck' && problem !== null && halting.includes(problem.code);
}

/** Does time have anything to say to it? */
export function hearsTime(run: RunState): boolean {
  return !closedStatuses.includes(run.status) && !isHalted(run);
}

/** Epoch milliseconds of the next moment at which time changes something; null: it never will. */
export function wakeTime(run: RunState): number | null {
  const next = nextMoment(run);
  return next === null ? null : next.at;
}

/** What time has to say by now, the earliest first; null: nothing yet. `now` is ISO 8601. */
export function dueEvent(run: RunState, now: string): Event | null {
  const next = nextMoment(run);
  // A time that is none is before every other.
  if (next === null || !(next.at <= Date.parse(now))) return null;
  return next.approval === null
    ? { kind: 'timeout', time: now }
    : { kind: 'deadline', time: now, approval: next.approval };
}

interface Moment {
  readonly at: number;
  /** Null: the run's own deadline. */
  readonly approval: string | null;
}

function nextMoment(run: RunState): Moment | null {
  if (!hearsTime(run)) return null;
  const moments: Moment[] = run.approvals
    .filter(({ status }) => isOpen(status))
    .map(({ id, timer }) => ({ at: timer, approval: id }));
  if (run.deadline !== null && !run.timeoutDue) moments.push({ at: run.deadline, approval: null });
  return moments.reduce<Moment | null>(
    (first, moment) => (first === null || moment.at < first.at ? moment : first),
    null,
  );
}
