import { record, type Draft } from './draft.js';
import { revokeOpen } from './approvals.js';
import type { Problem, RunState } from './state.js';

// What a run is stuck on that may have happened, or has happened and is written nowhere: until a person has said what
// became of it, time moves the run nowhere, and where the run ends all the same its end says so.

/** What is in doubt; null: nothing. */
export function doubtOf({ stuckOn, state }: Pick<RunState, 'stuckOn' | 'state'>): string | null {
  switch (stuckOn?.kind) {
    case 'action':
      return unknownWhether(stuckOn.action.transition);
    case 'onEnter':
      return stuckOn.unknown === true ? unknownWhether(`onEnter:${state}`) : null;
    case 'done':
      return `\`${stuckOn.transition}\` was done, and what it writes is not kept`;
    default:
      return null;
  }
}

function unknownWhether(name: string): string {
  return `whether \`${name}\` was done is not known`;
}

/** The problem of a run that ends while something of it is in doubt; null: nothing is. */
export function problemLeft(run: Pick<RunState, 'stuckOn' | 'state' | 'problem'>): Problem | null {
  const doubt = doubtOf(run);
  if (doubt === null) return null;
  const code = 'EXECUTOR_UNKNOWN';
  const known = run.problem ?? { code, message: 'its problem is not kept' };
  return { ...known, message: `the run has ended, and ${doubt}: ${known.message}` };
}

/** The run's time is up, and it moves only when a person has said what happened: by a retry, or by a cancel. */
export function waitForWord(draft: Draft, doubt: string, target: string): void {
  const { run } = draft;
  const next = `the run's time is up, and ${doubt}: a retry by a person, then the run moves to \`${target}\`, or a cancel`;
  if (run.overdue !== true) record(draft, 'timeout.fired', { data: { state: run.state, waits: next } });
  run.overdue = true;
  if (run.problem !== null) run.problem = { ...run.problem, message: `${run.problem.message}; ${next}` };
  revokeOpen(draft, "the run's time is up", ({ repeats }) => repeats !== true);
}
