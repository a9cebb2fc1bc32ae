import { problemCodes, type ProblemCode } from '../model/contract/errors.js';
import { runStatuses, verdicts, type ExpectationShape, type ExpectShape } from '../policy/shape/tests.js';

type Verdict = (typeof verdicts)[number];
type Status = (typeof runStatuses)[number];

/** What a single word after `expect:` means: an answer, a status of the run, its problem, or the code of a refusal. */
export function expectationOf(written: ExpectationShape): ExpectShape {
  if (typeof written !== 'string') return written;
  if (isIn<Verdict>(verdicts, written)) return { verdict: written };
  if (isIn<Status>(runStatuses, written)) return { status: written };
  if (isIn<ProblemCode>(problemCodes, written)) return { problem: written };
  return { verdict: 'refused', code: written };
}

function isIn<T extends string>(list: readonly T[], word: string): word is T {
  return list.some((item) => item === word);
}
