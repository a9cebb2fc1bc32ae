import { mostChainBytes, mostConditions } from '../model/limits.js';
import type { Guard } from './plan.js';
import { conditionsOf, evaluateGuard, type Evaluation, type GuardContext } from './guards.js';
import { isLeft } from './room.js';
import { countConditions, freshChain, type Work } from './work.js';

/** Evaluates the guards of one step, one after the other. What is more work than one step may ask for is an error. */
export function makeAsking(
  work: Work,
  guards: readonly Guard[],
  at: GuardContext,
): (guard: Guard) => Evaluation {
  const mine = freshChain(work);
  const isTooMany = conditionsOf(guards) > mostConditions;
  return (guard) => {
    if (isTooMany) return error(`the step asks more than ${mostConditions} conditions, which are the most`);
    if (!isLeft(mine.chain))
      return error(`the guards before it compare more than the ${mostChainBytes} bytes that they may`);
    const evaluation = evaluateGuard(guard, at);
    countConditions(
      mine,
      0,
      evaluation.reads.map(({ value }) => value),
    );
    return evaluation;
  };
}

function error(reason: string): Evaluation {
  return { verdict: 'error', reason, reads: [] };
}
