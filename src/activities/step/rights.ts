import type { Plan } from '../../engine/plan.js';
import type { Action, Kit, RunState } from '../../engine/state.js';
import { readsRights } from '../../engine/index.js';
import type { PolicySet } from '../../model/policy-set.js';
import { withRolePermissions, type Principal } from '../../model/principal.js';
import { together, type Tx } from '../../db/index.js';
import { credentialsOf, sightHours, type HeldCredential } from '../../store/people.js';
import type { RunRow } from '../../store/runs.js';
import type { ActivityDeps } from '../deps.js';
import { actionsIn } from './document.js';
import { makeKit } from './kit.js';

const sightMs = sightHours * 3_600_000;
const byRights = new WeakMap<Plan, boolean>();

/** The kit that this run's step decides with. `state` null: it has taken no step. */
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
 * What those hold now in whose name the run may act: read from the store once a step, and only where something in the plan
 * is decided by it. Whoever is not known there holds nothing. Who asks in this very step is not in the run's state yet: its
 * message was attested with what it held, and what it asked for is asked about once more before it is executed.
 */
async function loadRights(
  tx: Tx,
  policySet: PolicySet,
  plan: Plan,
  state: RunState | null,
): Promise<Kit['rightsNow']> {
  const ids = new Set(requestersIn(state));
  if (ids.size === 0 || !isByRights(plan)) return (asked) => asked;
  const held = await credentialsOf(tx, [...ids]);
  return (asked, at) => (ids.has(asked.id) ? rightsOf(policySet, asked, at, held) : asked);
}

function requestersIn(state: RunState | null): string[] {
  const actions = state === null ? [] : actionsIn<Action>(state);
  return actions.flatMap(({ requester, byRuntime }) =>
    byRuntime === true || requester === null ? [] : [requester.id],
  );
}

function isByRights(plan: Plan): boolean {
  const known = byRights.get(plan) ?? readsRights(plan);
  byRights.set(plan, known);
  return known;
}

/** Of a token nobody says when its rights are taken away: the last that came counts, where it came about when this was asked, or since. */
function rightsOf(
  policySet: PolicySet,
  asked: Principal,
  at: string,
  held: readonly HeldCredential[],
): Principal {
  const since = Date.parse(at) - sightMs;
  const own = held.filter(
    ({ id, seenAt }) => id === asked.id && (seenAt === null || Date.parse(seenAt) > since),
  );
  const roles = own.flatMap(({ roles: held }) => held);
  const permissions = own.flatMap(({ permissions: held }) => held);
  return withRolePermissions(policySet, { ...asked, roles, permissions });
}
