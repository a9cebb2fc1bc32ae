import { principalKinds, withRolePermissions, type Principal } from '../model/principal.js';
import type { PolicySet } from '../model/policy-set.js';

// Principals and steps as they are typed on a command line.

export type PrincipalRead =
  | { readonly status: 'read'; readonly name: string; readonly principal: Principal }
  | { readonly status: 'invalid'; readonly message: string };

const how = 'write `human:ann,roles=finance.controller,permissions=run.start`, `agent:bot` or `system:timer`';

/** Reads `kind:id`, then `roles=` and `permissions=`; a word without `=` belongs to the list before it. */
export function readPrincipal(text: string, policySet: PolicySet): PrincipalRead {
  const invalid = (message: string): PrincipalRead => ({ status: 'invalid', message: `${message}: ${how}` });
  const [who = '', ...rest] = text.split(',');
  const found = /^([a-z]+):(.+)$/.exec(who.trim());
  const kind = principalKinds.find((candidate) => candidate === found?.[1]);
  if (found === null || kind === undefined) return invalid(`\`${text}\` names no kind of principal`);
  const lists = { roles: [] as string[], permissions: [] as string[] };
  let into: string[] | null = null;
  for (const part of rest) {
    const [, key, first] = /^\s*(\w+)=(.*)$/.exec(part) ?? [];
    if (key !== undefined) {
      if (key !== 'roles' && key !== 'permissions')
        return invalid(`\`${key}\` is nothing that a principal has`);
      into = lists[key];
    }
    if (into === null) return invalid(`\`${part}\` belongs to no list`);
    const word = (key === undefined ? part : (first ?? '')).trim();
    if (word !== '') into.push(word);
  }
  const id = found[2]?.trim() ?? '';
  return { status: 'read', name: id, principal: withRolePermissions(policySet, { id, kind, ...lists }) };
}

/** A typed step as the YAML of a case: short forms for what is typed most, anything else is as in a case file. */
export function stepText(given: string): string {
  const text = given.trim();
  const quoted = (value: string | undefined): string => JSON.stringify((value ?? '').trim());
  const by = /^(approve|deny|cancel|retry) by (\S+)$/.exec(text);
  if (by !== null) return `{ ${by[1] ?? ''}: ${quoted(by[2])} }`;
  const passes = /^(deadline|timeout) passes$/.exec(text);
  if (passes !== null) return `{ passes: ${passes[1] ?? ''} }`;
  const outcome = /^(answered|failed) ([^]+)$/.exec(text);
  if (outcome !== null) return `{ ${outcome[1] ?? ''}: ${outcome[2] ?? ''} }`;
  const submit = /^(?:submit )?([^:{]+?) as (\S+)(?: with (\{[^]*\}))?$/.exec(text);
  if (submit !== null)
    return `{ submit: ${quoted(submit[1])}, as: ${quoted(submit[2])}${submit[3] === undefined ? '' : `, with: ${submit[3]}`} }`;
  return text.startsWith('{') ? text : `{ ${text} }`;
}
