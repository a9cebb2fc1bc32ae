import { isOpen } from '../../model/approval-status.js';
import { closedStatuses, type Event, type RunState } from '../state.js';

// When something is due in a run. Its only timer is set by this. When the timer goes, what is due is found by comparing each
// deadline with the time: that a timer has gone proves nothing.

const halting: readonly string[] = ['STEP_FAILED', 'HISTORY_FORKED'];

/**
 * The run is halted: our own code could not take a step of it, or store and history remember different pasts. Whatever
 * comes, nothing of it begins and nothing moves it until an operator has retried or cancelled it.
 */
export function isHalted({ status, problem }: Pick<RunState, 'status' | 'problem'>): boolean {
  return status === 'stuck' && problem !== null && halting.includes(problem.code);
}

/** Do deadlines count for the run? Not once it is closed, or while it is halted. */
export function hearsTime(run: RunState): boolean {
  return !closedStatuses.includes(run.status) && !isHalted(run);
}

/** Epoch milliseconds of the next moment at which something is due; null: never. */
export function wakeTime(run: RunState): number | null {
  const next = nextMoment(run);
  return next === null ? null : next.at;
}

/** The event that is due by now, the earliest first; null: none yet. `now` is ISO 8601. */
export function dueEvent(run: RunState, now: string): Event | null {
  const next = nextMoment(run);
  // Where `now` cannot be read, nothing is due.
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
