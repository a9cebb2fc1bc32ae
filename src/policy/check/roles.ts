import { warn, type Compiling, type Path } from '../compile/context.js';
import { nearest } from '../text/problems.js';

/**
 * A role needs no declaration, as keys may have any role. But a name that is nearly a declared role is a slip, and so is one that
 * somebody meant to be filled in, matched or divided: nobody has such a role.
 */
export function warnUnknownRoles(to: Compiling, roles: readonly string[], path: Path): void {
  for (const [index, role] of roles.entries()) warnUnknownRole(to, role, [...path, index]);
}

export function warnUnknownRole(to: Compiling, role: string, path: Path): void {
  const declared = to.catalog.policySet.roles.map((entry) => entry.name);
  if (declared.includes(role)) return;
  const near = nearest(role, declared);
  const isOdd = /[${}<>%*,]|:\/\//.test(role);
  const why = isOdd
    ? ', and it looks like a placeholder, a pattern, an address or a list, while a role is taken as it is written: write the name itself, one an entry, or declare this one under `roles`'
    : '';
  if (isOdd || near !== undefined)
    warn(to, 'UNKNOWN_ROLE', path, `no file declares the role \`${role}\`${why}`, 'value', near);
}
