import type { EventResult, Executing, Outcome } from '../../engine/state.js';
import type { Fact } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import { beginCourse, takeUnrung } from '../step/course.js';
import type { ActivityDeps } from '../deps.js';
import { persistStep } from '../step/persist.js';
import type { ExecutionBasis, Settled } from './begun.js';

/** Takes the step of an outcome: the engine decides what the outcome means, and all of it is written in one transaction. */
export async function settleOutcome(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing, plan, policySet, kit, time }: ExecutionBasis,
  outcome: Outcome,
  facts: readonly Fact[],
): Promise<Settled> {
  const rev = row.rev + 1;
  const course = beginCourse(
    { plan, kit, time, onInternalError: deps.onInternalError },
    loaded.state,
    rev,
    'o',
  );
  const decision = course.decide({ kind: 'outcome', time, action: executing.action.id, result: outcome });
  while (course.isClosed() && (await takeUnrung(deps, tx, row, course, null)) > 0);
  const { facts: decided, ...rest } = course.finish();
  const result = await persistStep(deps, tx, {
    row,
    plan,
    policySet,
    before: loaded,
    ...rest,
    facts: [...facts, ...refusedOutputFacts(executing, outcome, decision, time, rev), ...decided],
    rev,
    eventKey: `outcome:${executing.action.id}`,
    fingerprints: [],
    isForked: false,
    time,
  });
  return { kind: 'settled', result };
}

const refused: ReadonlySet<string> = new Set(['failed', 'unknown']);

/** The record of a call that succeeded and whose output the engine refused, whether or not somebody waits for it. */
function refusedOutputFacts(
  { action }: Executing,
  outcome: Outcome,
  decision: EventResult,
  time: string,
  rev: number,
): Fact[] {
  const error = decision.actions.find(
    (decided) => decided.action.id === action.id && refused.has(decided.status),
  )?.error;
  if (outcome.status !== 'succeeded' || error === undefined || error === null) return [];
  return [
    {
      key: `s${rev}.o:output`,
      type: 'transition.rejected',
      time,
      actor: { kind: 'runtime', id: 'countersign' },
      action: { id: action.id, transition: action.transition, digest: action.digest },
      ...(action.approval === null ? {} : { approval: action.approval }),
      policy: { rule: 'outputSchema', verdict: 'refused', reason: error.message },
      attempt: outcome.attempt,
      data: { code: error.code },
    },
  ];
}
