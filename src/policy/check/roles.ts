import { warn, type Compiling, type Path } from '../compile/context.js';
import { nearest } from '../text/problems.js';

// Roles where somebody names them.

/** A role needs no declaration, as keys may hold any: one that is nearly a declared one is a slip. */
export function warnUnknownRoles(to: Compiling, roles: readonly string[], path: Path): void {
  for (const [index, role] of roles.entries()) warnUnknownRole(to, role, [...path, index]);
}

export function warnUnknownRole(to: Compiling, role: string, path: Path): void {
  const declared = to.catalog.policySet.roles.map((one) => one.name);
  const near = declared.includes(role) ? undefined : nearest(role, declared);
  if (near !== undefined)
    warn(to, 'UNKNOWN_ROLE', path, `no file declares the role \`${role}\``, 'value', near);
}
