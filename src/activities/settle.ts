import { decide } from '../engine/index.js';
import type { Decision, Executing, Outcome, RunState } from '../engine/state.js';
import type { Fact } from '../model/records.js';
import type { Tx } from '../db/index.js';
import type { RunRow } from '../store/runs.js';
import type { ActivityDeps } from './deps.js';
import { makeKit } from './kit.js';
import { persist } from './persist.js';
import type { Stepped } from './types.js';

/** The outcome's own step: the engine says what it means, and one transaction makes all of it durable. */
export async function settle(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  run: RunState,
  executing: Executing,
  outcome: Outcome,
  facts: readonly Fact[],
): Promise<Stepped> {
  const plan = await deps.plan(tx, row.planHash);
  if (plan === null) throw new Error(`plan ${row.planHash} of run ${row.id} is not in the store`);
  const time = new Date().toISOString();
  const policySet = await deps.policySet(tx);
  const kit = makeKit(policySet, row.environment, await deps.people(tx, row));
  const rev = row.rev + 1;
  const decision = decide(
    plan,
    run,
    { kind: 'outcome', time, action: executing.action.id, result: outcome },
    kit,
    `s${rev}.o`,
  );
  return persist(deps, tx, {
    row,
    plan,
    policySet,
    before: run,
    after: decision.state,
    effects: decision.effects,
    actions: decision.actions,
    facts: [...facts, ...refusedOutput(executing, outcome, decision, time, rev), ...decision.trace],
    rev,
    eventKey: `outcome:${executing.action.id}`,
    fingerprints: [],
    taken: [],
    decided: [],
    time,
  });
}

/** The call succeeded and what it answered was refused: the record says so, whether or not somebody waits for it. */
function refusedOutput(
  { action }: Executing,
  outcome: Outcome,
  decision: Decision,
  time: string,
  rev: number,
): Fact[] {
  const error = decision.actions.find((one) => one.action.id === action.id && one.status === 'failed')?.error;
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
