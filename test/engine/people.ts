import type { Principal } from '../../src/model/principal.js';

// Who asks, and who decides.

export function principal(
  id: string,
  kind: Principal['kind'] = 'human',
  extra: Partial<Principal> = {},
): Principal {
  return { id, kind, roles: [], permissions: [], ...extra };
}

export const agent = principal('bot', 'agent');
export const operator = principal('ops', 'human', { permissions: ['run.operate'] });

/** They may decide at a gate of `gate()`. */
export const ann = principal('ann', 'human', { roles: ['finance.controller'] });
export const ben = principal('ben', 'human', { roles: ['finance.controller'] });
export const fay = principal('fay', 'human', { roles: ['finance.controller'] });
