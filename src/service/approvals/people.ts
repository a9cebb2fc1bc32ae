import { withRolePermissions, type Principal } from '../../model/principal.js';
import { absentFor } from '../../store/absences.js';
import { principalByKeys } from '../../store/links.js';
import { findPeople } from '../../store/people.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';

/** Somebody who is named, and is not here: one principal for each credential that it has. */
export interface StandIn {
  readonly id: string;
  readonly kind: Principal['kind'];
  readonly credentials: readonly Principal[];
}

export async function knownPerson(deps: ServiceDeps, id: string): Promise<StandIn | null> {
  const [person] = await knownPeople(deps, [id]);
  return person ?? null;
}

async function knownPeople({ pool, policies }: ServiceDeps, ids: readonly string[]): Promise<StandIn[]> {
  const [people, policySet] = await Promise.all([findPeople(pool, ids), policies.policySet()]);
  return people.map(({ id, kind, credentials }) => ({
    id,
    kind,
    credentials: credentials.map(({ roles, permissions }) =>
      withRolePermissions(policySet, { id, kind, roles, permissions }),
    ),
  }));
}

/** The people whose delegate the caller is now. */
export async function standingIn({ deps, principal }: Caller): Promise<readonly StandIn[]> {
  const rows = await absentFor(deps.pool, principal.id, deps.now().toISOString());
  return rows.length === 0
    ? []
    : knownPeople(
        deps,
        rows.map((row) => row.principal),
      );
}

/** Somebody who is named by what a door knows of it, with what its keys give it at this moment; null: none is valid now. */
export async function personByKeys(
  { pool, policies }: Pick<ServiceDeps, 'pool' | 'policies'>,
  id: string,
): Promise<Principal | null> {
  const stored = await principalByKeys(pool, id);
  return stored === null ? null : withRolePermissions(await policies.policySet(), stored);
}
