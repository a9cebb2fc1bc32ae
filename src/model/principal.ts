import { z } from 'zod';
import type { PolicySet } from './policy-set.js';

export const principalKinds = ['human', 'agent', 'system'] as const;
export type PrincipalKind = (typeof principalKinds)[number];

/** A subject of 255 characters, the most that OpenID Connect has, and a prefix of 100. */
export const longestPrincipalId = 355;

/** Ids that records give to the service itself, and to who is not known: nobody else is called so, in any spelling. */
export function isReservedId(id: string): boolean {
  return /^(countersign(\..*)?|anonymous|unknown)$/.test(id.normalize('NFKC').toLowerCase());
}

/** Who asks. It comes from authentication, never from a payload. `permissions` include those of the roles. */
export const principalSchema = z.strictObject({
  id: z.string().min(1).max(longestPrincipalId),
  kind: z.enum(principalKinds),
  roles: z.array(z.string()),
  permissions: z.array(z.string()),
  /** The service whose credential acted for this human (RFC 8693 `act`); absent when the human came itself. */
  actedBy: z.string().min(1).max(longestPrincipalId).optional(),
});
export type Principal = z.infer<typeof principalSchema>;

export const builtInPermissions = [
  'flow.publish',
  'flow.read',
  'run.start',
  'run.read',
  'run.operate',
  'approval.decide',
  'audit.read',
  'key.manage',
  'policy.reload',
] as const;

/** Who holds one of these could become anybody: roles and tokens give them to humans only, and only humans' keys have them. */
export const humanPermissions: readonly string[] = ['key.manage'];

/** A principal's permissions are its own and those of its roles, as the policy set in force says. */
export function withRolePermissions(
  policySet: Pick<PolicySet, 'roles'> | null,
  { id, kind, roles, permissions, actedBy }: Identity,
): Principal {
  const ofRoles = (policySet?.roles ?? [])
    .filter((one) => roles.includes(one.name))
    .flatMap((one) => one.permissions)
    .filter((one) => kind === 'human' || !humanPermissions.includes(one));
  return {
    id,
    kind,
    roles: [...new Set(roles)],
    permissions: [...new Set([...permissions, ...ofRoles])],
    ...(actedBy === undefined ? {} : { actedBy }),
  };
}

export interface Identity {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly actedBy?: string | undefined;
}
