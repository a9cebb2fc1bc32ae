import type { Plan } from '../engine/plan.js';
import type { Queryable } from '../db/index.js';
import { getPlan } from './flows.js';
import { policiesInForce, policySetHash, type PoliciesInForce } from './policy.js';

// What a process keeps of the store, and when it reads it again.

/** Null: the store has none of that hash. */
export type FindPlan = (q: Queryable, hash: string) => Promise<Plan | null>;

const cachedPlans = 200;

/** Plans never change under their hash. */
export function cachePlans(): FindPlan {
  const plans = new Map<string, Plan>();
  return async (q, hash) => {
    const known = plans.get(hash);
    if (known !== undefined) return known;
    const plan = await getPlan(q, hash);
    if (plan === null) return null;
    if (plans.size >= cachedPlans) plans.clear();
    plans.set(hash, plan);
    return plan;
  };
}

/** For who cannot go on without it. */
export async function requirePlan(find: FindPlan, q: Queryable, hash: string): Promise<Plan> {
  const plan = await find(q, hash);
  if (plan === null) throw new Error(`plan ${hash} is not in the store`);
  return plan;
}

/** Read again when others have come into force; null: none were loaded. */
export function cachePolicies(): (q: Queryable) => Promise<PoliciesInForce | null> {
  let cached: PoliciesInForce | null = null;
  return async (q) => {
    // Another call may replace it meanwhile.
    const known = cached;
    if (known !== null && known.hash === (await policySetHash(q))) return known;
    const found = await policiesInForce(q);
    cached = found;
    return found;
  };
}
