import { withRolePermissions, type Principal } from '../../model/principal.js';
import { absentFor } from '../../store/absences.js';
import { findPerson } from '../../store/people.js';
import { principalOf, type Call } from '../http/call.js';

/** Somebody who is named, and is not here: one principal for each credential that it has. */
export interface StandIn {
  readonly id: string;
  readonly kind: Principal['kind'];
  readonly credentials: readonly Principal[];
}

export async function knownPerson(call: Call, id: string): Promise<StandIn | null> {
  const [person, policySet] = await Promise.all([
    findPerson(call.deps.pool, id),
    call.deps.policies.policySet(),
  ]);
  if (person === null) return null;
  const { kind } = person;
  const credentials = person.credentials.map(({ roles, permissions }) =>
    withRolePermissions(policySet, { id, kind, roles, permissions }),
  );
  return { id, kind, credentials };
}

/** The people whose delegate the caller is now. */
export async function standingIn(call: Call): Promise<readonly StandIn[]> {
  const rows = await absentFor(call.deps.pool, principalOf(call).id, call.deps.now().toISOString());
  const people = await Promise.all(rows.map((row) => knownPerson(call, row.principal)));
  return people.filter((one) => one !== null);
}
