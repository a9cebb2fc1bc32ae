import { withRolePermissions, type Principal } from '../../model/principal.js';
import { absencesFor } from '../../store/approvals/absences.js';
import { principalByKeys } from '../../store/approvals/links.js';
import { findPeople } from '../../store/people/people.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';

/** Somebody who is named but is not the caller: a principal for each valid credential. */
export interface KnownPerson {
  readonly id: string;
  readonly kind: Principal['kind'];
  readonly credentials: readonly Principal[];
}

export async function findPerson(deps: ServiceDeps, id: string): Promise<KnownPerson | null> {
  const [person] = await findKnownPeople(deps, [id]);
  return person ?? null;
}

async function findKnownPeople(
  { pool, policies }: ServiceDeps,
  ids: readonly string[],
): Promise<KnownPerson[]> {
  const [people, policySet] = await Promise.all([findPeople(pool, ids), policies.policySet()]);
  return people.map(({ id, kind, credentials }) => ({
    id,
    kind,
    credentials: credentials.map(({ roles, permissions }) =>
      withRolePermissions(policySet, { id, kind, roles, permissions }),
    ),
  }));
}

/** The absent people for whom the caller is the delegate now. */
export async function findAbsentPrincipals({ deps, principal }: Caller): Promise<readonly KnownPerson[]> {
  const rows = await absencesFor(deps.pool, principal.id, deps.now().toISOString());
  return rows.length === 0
    ? []
    : findKnownPeople(
        deps,
        rows.map((row) => row.principal),
      );
}

/**
 * The person whom a door knows by name, with the rights that their valid keys give; null: they have none. `heldAt`: only keys
 * that they had at that time count; null: all do.
 */
export async function findPersonByKeys(
  { pool, policies }: Pick<ServiceDeps, 'pool' | 'policies'>,
  id: string,
  heldAt: string | null,
): Promise<Principal | null> {
  const stored = await principalByKeys(pool, id, heldAt);
  return stored === null ? null : withRolePermissions(await policies.policySet(), stored);
}
