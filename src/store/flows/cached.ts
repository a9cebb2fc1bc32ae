import type { Plan } from '../../engine/plan.js';
import type { Queryable } from '../../db/index.js';
import { getPlan } from './flows.js';
import { policiesInForce, policySetHash, type PoliciesInForce } from './policy.js';

// What a process caches of the store, and when it reads it again.

/** Finds the plan with this hash; null: the store has none. */
export type FindPlan = (q: Queryable, hash: string) => Promise<Plan | null>;

const cachedPlans = 200;

/** Caches plans without ever reading them again, since a plan never changes under its hash. */
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

/** Gives the plan, or throws if there is none. */
export async function requirePlan(find: FindPlan, q: Queryable, hash: string): Promise<Plan> {
  const plan = await find(q, hash);
  if (plan === null) throw new Error(`plan ${hash} is not in the store`);
  return plan;
}

/** Caches the policies in force until others come into force. Gives null if none were loaded. */
export function cachePolicies(): (q: Queryable) => Promise<PoliciesInForce | null> {
  let cached: PoliciesInForce | null = null;
  return async (q) => {
    // A copy, since another call may replace `cached` meanwhile.
    const known = cached;
    if (known !== null && known.hash === (await policySetHash(q))) return known;
    const found = await policiesInForce(q);
    cached = found;
    return found;
  };
}
