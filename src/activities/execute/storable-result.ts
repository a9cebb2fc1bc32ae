import { answerTrouble } from '../../model/values/json.js';
import { unusableAnswer } from '../../executors/answer/outcome.js';
import type { ExecutorResult } from '../../executors/types.js';

/** An answer that cannot be stored becomes a failure with a reason, so that its run goes on. */
export function toStorableResult(result: ExecutorResult, hasEffect: boolean): ExecutorResult {
  if (result.status === 'failed') return { ...result, message: result.message.toWellFormed() };
  const trouble = answerTrouble(result.output, result.response);
  if (trouble === null) return result;
  return unusableAnswer({ hasEffect }, `the target has answered, and its answer cannot be kept: ${trouble}`);
}
