import { warn, type Compiling, type Path } from '../compile/context.js';
import { nearest } from '../text/problems.js';

/** A role needs no declaration, as keys may have any role. But a name that is nearly a declared role is a slip. */
export function warnUnknownRoles(to: Compiling, roles: readonly string[], path: Path): void {
  for (const [index, role] of roles.entries()) warnUnknownRole(to, role, [...path, index]);
}

export function warnUnknownRole(to: Compiling, role: string, path: Path): void {
  const declared = to.catalog.policySet.roles.map((entry) => entry.name);
  const near = declared.includes(role) ? undefined : nearest(role, declared);
  if (near !== undefined)
    warn(to, 'UNKNOWN_ROLE', path, `no file declares the role \`${role}\``, 'value', near);
}
