import { closedStatuses, type Link } from '../../engine/state.js';
import { links } from '../../engine/index.js';
import type { Floor, Plan } from '../../engine/plan.js';
import type { Principal } from '../../model/principal.js';
import { floorsOf } from '../../schema/kit.js';
import { cachePlans, requirePlan } from '../../store/flows/cached.js';
import { stateWithoutValues, type RunDocument } from '../../store/runs/document.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { ServiceDeps } from '../deps.js';
import { readHeld } from './document.js';

// What a run can take next: its plan, the floors of its environment, and the links that follow from both.

const findPlan = cachePlans();

export function planOf({ pool }: ServiceDeps, hash: string): Promise<Plan> {
  return requirePlan(findPlan, pool, hash);
}

export async function floorsIn({ policies }: ServiceDeps, environment: string): Promise<Floor[] | null> {
  const policySet = await policies.policySet();
  return policySet === null ? null : floorsOf(policySet, environment);
}

export async function linksOf(
  deps: ServiceDeps,
  row: ListedRun,
  document: RunDocument | null,
  principal: Principal,
): Promise<Link[]> {
  // A run that was left to another deployment is stuck without a step: its row says so, its document does not.
  if (document === null || row.status === 'stuck' || closedStatuses.includes(row.status)) return [];
  const [plan, floors, input] = await Promise.all([
    planOf(deps, row.planHash),
    floorsIn(deps, row.environment),
    readHeld(deps, document.heldInput),
  ]);
  // Which links are legal is not known then.
  if (input === null) return [];
  const onLinkError = (error: unknown): void => deps.onInternalError(`the links of run \`${row.id}\``, error);
  return links(plan, { ...stateWithoutValues(document), input }, principal, { floors }, onLinkError);
}
