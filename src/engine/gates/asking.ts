import { mostConditions } from '../../model/limits.js';
import type { Guard } from '../plan.js';
import {
  conditionsOf,
  evaluateGuard,
  tooMuchCompared,
  type Evaluation,
  type GuardContext,
} from '../guards.js';
import { stepMeter } from '../expression/meter.js';
import type { Work } from '../run/work.js';

/** Evaluates the guards of one step, one after the other, on one meter. What exceeds the work of a step is an error. */
export function makeAsking(
  work: Work,
  guards: readonly Guard[],
  at: GuardContext,
): (guard: Guard) => Evaluation {
  const meter = stepMeter(work);
  const isTooMany = conditionsOf(guards) > mostConditions;
  return (guard) => {
    if (isTooMany)
      return errorEvaluation(`the step asks more than ${mostConditions} conditions, which are the most`);
    return meter.isLeft() ? evaluateGuard(guard, { ...at, meter }) : errorEvaluation(tooMuchCompared);
  };
}

function errorEvaluation(reason: string): Evaluation {
  return { verdict: 'error', reason, reads: [] };
}
