import type { PolicySet } from '../model/policy-set.js';
import type { Principal, PrincipalKind } from '../model/principal.js';

export interface Identity {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

/** A principal's permissions are its own and those of its roles, as the policy set in force says. */
export function withRolePermissions(
  policySet: PolicySet | null,
  { id, kind, roles, permissions }: Identity,
): Principal {
  const ofRoles = (policySet?.roles ?? [])
    .filter((one) => roles.includes(one.name))
    .flatMap((one) => one.permissions);
  return { id, kind, roles: [...new Set(roles)], permissions: [...new Set([...permissions, ...ofRoles])] };
}
