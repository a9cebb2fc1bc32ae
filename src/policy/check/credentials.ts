import { referencePattern } from '../shape/notifications.js';

// A credential that is written into a policy is read by everybody who reads the folder, and is not masked where a target sends
// it back, as what a reference holds is. What certainly is one does not load; what may be a public name as well is told.

export type Written = 'credential' | 'perhaps' | 'none';

/** Of a header or a variable: what is so named holds a credential. */
const credentialName =
  /(?:authorization|cookie|token|secret|password|passwd|passphrase|credentials?|[-_]pass|[-_]pwd|(?:api|access|account|auth|private|secret|signing|subscription|functions)[-_.]?key)$/i;

/** As those who hand them out begin them, so that they are recognized. */
const known =
  /(?<![a-z0-9])(?:[sr]k_(?:live|test)_\w{8}|gh[oprsu]_\w{8}|github_pat_\w{8}|glpat-[\w-]{8}|xox[abeoprs]-[\w-]{8}|hvs\.\w{8}|-----BEGIN [A-Z ]*PRIVATE KEY-----)/;

/** Half of one: `AWS_ACCESS_KEY_ID` is public. */
const accessKey = /^A[KS]IA[A-Z0-9]{16}$/;

/** `%s`, `%PASSWORD%`, `<password>`, `{password}` and what has a `$` in it are filled in. */
const placeholder = /\$|^%(?:\w|\w+%|\(\w+\)\w)$|^[<{]/;

/** Of this text, under the name of a header or a variable; null: it is an argument. */
export function writtenCredential(name: string | null, text: string): Written {
  if (text.trim() === '' || referencePattern.test(text)) return 'none';
  if (known.test(text) || passwordIn(text)) return 'credential';
  if (name === null || !credentialName.test(name)) return 'none';
  if (accessKey.test(text) || followsScheme(name, text)) return 'credential';
  return looksLikeOne(text) ? 'perhaps' : 'none';
}

/**
 * Of `scheme://user:password@host`. Some write a `/`, `?` or `#` in the password as it is; behind digits it is a path, and
 * another host or setting behind a `,` or `;`. What ends at an `@` is looked through once.
 */
function passwordIn(text: string): boolean {
  return text.split(/(?<=@)|\s/).some((piece) => {
    if (!piece.endsWith('@')) return false;
    const [, password] = /:\/\/[^/?#:[]*:(?!\d*[/?#,;])(.+)@/s.exec(piece) ?? [];
    return password !== undefined && !placeholder.test(password);
  });
}

function followsScheme(name: string, text: string): boolean {
  const [, scheme = '', credential = ''] = /^\s*([a-z][a-z0-9-]*)\s+(\S+)/i.exec(text) ?? [];
  if (credential === '' || placeholder.test(credential)) return false;
  return /^(?:bearer|basic)$/i.test(scheme) || (/authorization$/i.test(name) && credential.length >= 8);
}

/** `no-check`, `lang=en`, a path, an ARN and `prod/app1/database-2024` are none. */
function looksLikeOne(text: string): boolean {
  const isPath = /[/\\]/.test(text) && !/^[a-z0-9+/]{32,}={0,2}$/i.test(text);
  if (isPath || /\$|^arn:/i.test(text)) return false;
  const isLong = (word: string): boolean => word.length >= (/\d/.test(word) && /[a-z]/i.test(word) ? 8 : 16);
  return text.split(/[\s,;:=]+/).some(isLong);
}

/** An address as a message may tell it. Some write a `/`, `?` or `#` in a password as it is. */
export function withoutCredentials(address: string): string {
  const [start, end] = [address.indexOf('://') + '://'.length, address.lastIndexOf('@')];
  return start < '://'.length || end < start ? address : `${address.slice(0, start)}…${address.slice(end)}`;
}
