import { isOpen } from '../../../model/approval-status.js';
import type { ErrorCode, ProblemCode } from '../../../model/contract/errors.js';
import { whyInDoubt } from '../../effects/doubt.js';
import { isAtItsEnd } from '../../links.js';
import { isHalted } from '../moments.js';
import type { Plan } from '../../plan.js';
import type { Problem, RunState } from '../../state.js';

// What a person can do about a run that is stuck: whether a retry or a cancel helps, and what the run's own time will do. It is
// shown wherever the problem is.

/** What has to change before a retry comes to anything else. `asks`: nothing, the runtime asks people again; `smaller`: the call. */
export type Until = 'policies' | 'decisions' | 'asks' | 'smaller' | 'never';

const asLarge = 'a retry would come to the same, since the call would be as large';
const smallerCall =
  'a new run needs less in what the call is made of, or a flow version whose call takes less of it';

const ways = {
  again: 'a retry tries it again, which helps once its cause is gone; a cancel ends the run',
  goesOn: 'look at what the run was about to do: a retry goes on from here, a cancel ends the run',
  never: 'a retry would come to the same: only a cancel helps',
  smaller: `${asLarge}: only a cancel helps; ${smallerCall}`,
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

/** The way on for each code that a run can be stuck with, unless `stuckOn` says more. */
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
  TOO_LARGE: 'smaller',
  RUN_FULL: 'never',
} as const satisfies Partial<Record<ProblemCode | ErrorCode, Way>>;

type Stuck = Pick<
  RunState,
  'status' | 'problem' | 'stuckOn' | 'state' | 'overdue' | 'approvals' | 'deadline'
>;
type Timed = Pick<Plan, 'onTimeout' | 'states'>;

/** Instead of `ways`, where a cancel is all that a person can do, and the run's time will do something too. */
const besideTime: Partial<Record<Way, string>> = {
  never: 'a retry would come to the same, and a cancel ends the run',
  smaller: `${asLarge}, and a cancel ends the run; ${smallerCall}`,
  done: 'the step has happened, a retry would do it a second time, and a cancel ends the run',
};

/** The sentence to show; null: the run is not stuck. Where the plan cannot be read (null), it says nothing of the run's time. */
export function wayOn(run: Stuck, plan: Timed | null): string | null {
  if (run.status !== 'stuck') return null;
  const way = wayOf(run);
  const later = plan === null ? null : timeText(run, plan);
  return later === null ? ways[way] : `${besideTime[way] ?? ways[way]}; ${later}`;
}

/** What the run's own time does to it while it is stuck, or once it goes on; null: nothing. */
function timeText(run: Stuck, plan: Timed): string | null {
  if (run.deadline === null) return null;
  const end = new Date(run.deadline).toISOString();
  const when = isHalted(run)
    ? `a retry after ${end} finds the run's time up, which`
    : `at ${end} the run's time is up, which`;
  const target = plan.onTimeout?.target ?? null;
  if (target === null) return `${when} ends it`;
  if (whyInDoubt(run) !== null || isAtItsEnd(plan, run)) return null;
  return target === run.state
    ? `${when} has it enter \`${target}\` again`
    : `${when} moves it to \`${target}\``;
}

function codeOf({ problem }: Stuck): Problem['code'] {
  return problem?.code ?? 'STEP_FAILED';
}

function wayOf(run: Stuck): Way {
  const { stuckOn, overdue } = run;
  const code = codeOf(run);
  if (stuckOn?.kind === 'done' || code === 'STATE_TOO_LARGE') return overdue === true ? 'moves' : 'done';
  const isAsked = run.approvals.some(({ repeats, status }) => repeats === true && isOpen(status));
  if (isAsked && !isHalted(run)) return 'decide';
  if (whyInDoubt(run) !== null) return 'human';
  const until = stuckOn !== null && 'until' in stuckOn ? stuckOn.until : undefined;
  return until ?? wayOfProblem(code);
}

function wayOfProblem(code: Problem['code']): Way {
  return Object.hasOwn(wayOfCode, code) ? wayOfCode[code as keyof typeof wayOfCode] : 'again';
}

/** The same for an operator whose retry is refused. */
export function wayOfUntil(until: Until): string {
  return ways[until];
}
