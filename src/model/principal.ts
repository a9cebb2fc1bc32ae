import { z } from 'zod';
import type { PolicySet } from './policy-set.js';

export const principalKinds = ['human', 'agent', 'system'] as const;
export type PrincipalKind = (typeof principalKinds)[number];

/** A subject of 255 characters, the most in OpenID Connect, and a prefix of 100. */
export const longestPrincipalId = 355;

/** Ids that records use for the service itself and for unknown callers. Nobody else may have them, in any spelling. */
export function isReservedId(id: string): boolean {
  return /^(countersign(\..*)?|anonymous|unknown)$/.test(id.normalize('NFKC').toLowerCase());
}

/** Who asks. A principal comes from authentication, never from a payload. `permissions` include those of the roles. */
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

/** With these permissions a principal could become anybody, so only humans get them, by roles, tokens or keys. */
export const humanPermissions: readonly string[] = ['key.manage'];

/** Makes a principal whose permissions are its own and those of its roles in this policy set. */
export function withRolePermissions(
  policySet: Pick<PolicySet, 'roles'> | null,
  { id, kind, roles, permissions, actedBy }: Identity,
): Principal {
  const ofRoles = (policySet?.roles ?? [])
    .filter((role) => roles.includes(role.name))
    .flatMap((role) => role.permissions)
    .filter((permission) => kind === 'human' || !humanPermissions.includes(permission));
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
