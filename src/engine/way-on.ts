import type { ErrorCode, ProblemCode } from '../model/errors.js';
import { doubtOf } from './doubt.js';
import { isOpen } from './flow.js';
import type { Problem, RunState } from './state.js';

// What a person can do about a run that is stuck: which of retry and cancel helps, said wherever its problem is.

/** What has to change before a retry comes to anything else; `asks`: nothing, the runtime asks again. */
export type Until = 'policies' | 'decisions' | 'asks' | 'never';

const ways = {
  again: 'a retry tries it again, which helps once its cause is gone; a cancel ends the run',
  goesOn: 'look at what the run was about to do: a retry goes on from here, a cancel ends the run',
  never: 'a retry would come to the same: only a cancel helps',
  policies:
    'a retry helps once the policies of the environment no longer stand against it; a cancel ends the run',
  decisions:
    'a retry helps once approvals of this run that are open have been decided; a cancel ends the run',
  asks: 'a retry has the runtime take its step again, and asks again for what that needs; a cancel ends the run',
  human: 'look whether it happened: a retry by a human does it again, and a cancel ends the run as it is',
  decide: 'an approval for doing it again is open: it goes on once that is decided; a cancel ends the run',
  done: 'the step has happened, and a retry would do it a second time: only a cancel helps',
  moves: 'a retry by a human does nothing again and lets the run move on; a cancel ends it',
} as const;
type Way = keyof typeof ways;

/** Everything that a run can be stuck with, as long as nothing says more. */
export const wayOfCode = {
  ON_ENTER_FAILED: 'again',
  EXECUTOR_UNKNOWN: 'human',
  EXECUTOR_FAILED: 'again',
  CHAIN_NO_MATCH: 'never',
  CHAIN_AMBIGUOUS: 'never',
  CHAIN_TOO_LONG: 'goesOn',
  NO_ELIGIBLE_TRANSITION: 'never',
  STATE_TOO_LARGE: 'done',
  HISTORY_FORKED: 'goesOn',
  STEP_FAILED: 'again',
  BLOCKED: 'never',
  GUARD_REJECTED: 'again',
  DIGEST_MISMATCH: 'again',
  INPUT_INVALID: 'never',
  TOO_LARGE: 'never',
  RUN_FULL: 'never',
} as const satisfies Partial<Record<ProblemCode | ErrorCode, Way>>;

type Stuck = Pick<RunState, 'status' | 'problem' | 'stuckOn' | 'state' | 'overdue' | 'approvals'>;

/** Null: it is not stuck. */
export function wayOn(run: Stuck): string | null {
  return run.status === 'stuck' ? ways[wayOf(run)] : null;
}

function wayOf(run: Stuck): Way {
  const { problem, stuckOn, overdue } = run;
  const code = problem?.code ?? 'STEP_FAILED';
  if (stuckOn?.kind === 'done' || code === 'STATE_TOO_LARGE') return overdue === true ? 'moves' : 'done';
  if (run.approvals.some(({ repeats, status }) => repeats === true && isOpen(status))) return 'decide';
  if (doubtOf(run) !== null) return 'human';
  const until = stuckOn !== null && 'until' in stuckOn ? stuckOn.until : undefined;
  return until ?? wayIn(code);
}

function wayIn(code: Problem['code']): Way {
  return Object.hasOwn(wayOfCode, code) ? wayOfCode[code as keyof typeof wayOfCode] : 'again';
}

/** For an operator whose retry is refused. */
export function wayOfUntil(until: Until): string {
  return ways[until];
}
