import { z } from 'zod';

export const principalKinds = ['human', 'agent', 'system'] as const;
export type PrincipalKind = (typeof principalKinds)[number];

/** Who asks. It comes from authentication, never from a payload. `permissions` include those of the roles. */
export const principalSchema = z.strictObject({
  id: z.string().min(1).max(200),
  kind: z.enum(principalKinds),
  roles: z.array(z.string()),
  permissions: z.array(z.string()),
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
