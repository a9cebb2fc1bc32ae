import { decide } from '../engine/index.js';
import type { Executing, Outcome, RunState } from '../engine/state.js';
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
  const kit = makeKit(await deps.policySet(tx), row.environment);
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
    before: run,
    after: decision.state,
    effects: decision.effects,
    actions: decision.actions,
    facts: [...facts, ...decision.trace],
    rev,
    eventKey: `outcome:${executing.action.id}`,
    fingerprints: [],
    taken: [],
    decided: [],
    time,
  });
}
