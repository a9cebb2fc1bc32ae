import type { Plan } from '../../engine/plan.js';
import type { Action, Kit, RunState } from '../../engine/state.js';
import { readsRights } from '../../engine/index.js';
import type { PolicySet } from '../../model/policy-set.js';
import { withRolePermissions, type Principal } from '../../model/principal.js';
import { together, type Tx } from '../../db/index.js';
import { credentialsOf, sightHours, type HeldCredential } from '../../store/people/people.js';
import type { RunRow } from '../../store/runs/runs.js';
import type { ActivityDeps } from '../deps.js';
import { actionsIn } from './document.js';
import { makeKit } from './kit.js';

const sightMs = sightHours * 3_600_000;
const knownDependence = new WeakMap<Plan, boolean>();

/** Loads the kit that a step of this run decides with. `state` null: the run has taken no step. */
export async function loadKit(
  deps: Pick<ActivityDeps, 'people'>,
  tx: Tx,
  row: RunRow,
  plan: Plan,
  policySet: PolicySet,
  state: RunState | null,
): Promise<Kit> {
  const [rights, people] = await together([loadRights(tx, policySet, plan, state), deps.people(tx, row)]);
  return makeKit(policySet, row.environment, people, rights);
}

/**
 * The rights that the requesters of the run's actions hold now: read from the store once a step, and only where something in the
 * plan depends on them. A requester that the store does not know holds nothing. Who asks in this very step is not in the run's state
 * yet: the message was signed with the rights that it was sent with, and they are checked once more before the action is executed.
 */
async function loadRights(
  tx: Tx,
  policySet: PolicySet,
  plan: Plan,
  state: RunState | null,
): Promise<Kit['rightsNow']> {
  const ids = new Set(requestersIn(state));
  if (ids.size === 0 || !dependsOnRights(plan)) return (asked) => asked;
  const credentials = await credentialsOf(tx, [...ids]);
  return (asked, at) => (ids.has(asked.id) ? rightsOf(policySet, asked, at, credentials) : asked);
}

function requestersIn(state: RunState | null): string[] {
  const actions = state === null ? [] : actionsIn<Action>(state);
  return actions.flatMap(({ requester, byRuntime }) =>
    byRuntime === true || requester === null ? [] : [requester.id],
  );
}

function dependsOnRights(plan: Plan): boolean {
  const known = knownDependence.get(plan) ?? readsRights(plan);
  knownDependence.set(plan, known);
  return known;
}

/** Nobody tells when the rights of a token are taken away: the last token seen counts, if it was seen shortly before the request or later. */
function rightsOf(
  policySet: PolicySet,
  asked: Principal,
  at: string,
  credentials: readonly HeldCredential[],
): Principal {
  const since = Date.parse(at) - sightMs;
  const own = credentials.filter(
    ({ id, seenAt }) => id === asked.id && (seenAt === null || Date.parse(seenAt) > since),
  );
  const roles = own.flatMap(({ roles: held }) => held);
  const permissions = own.flatMap(({ permissions: held }) => held);
  return withRolePermissions(policySet, { ...asked, roles, permissions });
}
