import { truncate } from '../../../model/values/text.js';
import type { Problem, StuckOn } from '../../state.js';
import { record, type Draft } from '../draft.js';
import { answerWaiting } from '../settle.js';

// How a run becomes stuck: a person has it try again, or cancels it. Where no step can be taken at all, `give-up.ts` and
// `unreadable.ts` do it, without the rest of the engine.

/** Characters. A state may have thousands of transitions, each with a reason, and lists of runs show their problems. */
const longestProblem = 8_000;

export function stick(draft: Draft, full: Problem, on: StuckOn): void {
  const { run } = draft;
  const problem = { ...full, message: truncate(full.message, longestProblem) };
  run.executing = null;
  run.status = 'stuck';
  run.problem = problem;
  run.stuckOn = on;
  run.stuckAt = draft.key;
  record(draft, 'run.stuck', {
    data: {
      code: problem.code,
      message: problem.message,
      state: run.state,
      ...(problem.errorClass === undefined ? {} : { errorClass: problem.errorClass }),
    },
  });
  answerWaiting(draft);
}
