import { referencePattern } from '../shape/notifications.js';

// A credential that is written into a policy is read by everybody who reads the folder, and is not masked where a target sends
// it back, as what a reference holds is. What certainly is one does not load; what may be a public name as well is told. Nor
// does what was to be a reference and is none: it would be sent as if it were the credential.

export type Written = 'credential' | 'no reference' | 'perhaps' | 'none';

/** Of a header, a variable, an option, a setting: what is so named holds a credential. */
const credentialName =
  /(?:authorization|cookie|token|secret|password|passwd|passphrase|credentials?|signature|(?:^|[-_])(?:pass|pwd|pat|sig)|(?:api|access|account|application|auth|private|secret|signing|subscription|functions)[-_.]?key)$/i;

/**
 * `Name: value`, `NAME=value`, `--name=value`, wherever in a text: in a list of settings, a query, JSON, also where its quotes
 * are escaped.
 */
const named = /(?<![\w.-])-{0,2}([a-z_][\w.-]{0,99})\\?["']?\s?[=:]/gi;

/** The first word of a value, and the one behind it. */
const value = /\s?\\?["']?((?:[^\s;&,"'\\]|\\(?!["'])){1,64})(?:\s([^\s;&,"'\\]{1,64}))?/y;

/** A value behind `?` or `&` that is long enough for a key, such as `code=…` and `key=…`, whose names say nothing. */
const queried = /[?&][\w.-]{1,100}=([\w-]{30,200}={0,2})(?=[&#\s"']|$)/g;

/** As those who hand them out begin them, so that they are recognized. */
const known =
  /(?<![a-z0-9])(?:[sr]k_(?:live|test)_\w{8}|gh[oprsu]_\w{8}|github_pat_\w{8}|glpat-[\w-]{8}|xox[abeoprs]-[\w-]{8}|hooks\.slack\.com\/services\/\w{8}|sk-(?:ant|proj)-[\w-]{8}|hvs\.\w{8}|-----BEGIN [A-Z ]*PRIVATE KEY-----)/;

/** Half of one: `AWS_ACCESS_KEY_ID` is public. */
const accessKey = /^A[KS]IA[A-Z0-9]{16}$/;

/** Where a credential belongs: `env:NAME`, `secret:name`, `$NAME`, `${NAME}`, `$(command)`, `{{ name }}`, `%NAME%`. */
const meantAsReference = /(?:^|\s)(?:env|secret)s?:|\$\{{0,2}\s*[a-z_]|\$\(|\{\{|(?:^|\s)%\w+%$/i;

/** In a header, where nothing is filled in, also `{env:NAME}`, `<name>`, `!secret name` and any `scheme:…`, behind a word such as `Bearer` too. */
const meantInHeader = /^\s*(?:[\w-]+\s+)?(?:[{<%!]|[a-z][a-z0-9+.-]*:\S)/i;

/** `%s`, `%PASSWORD%`, `<password>`, `{password}` and what has a `$` in it are filled in. */
const placeholder = /\$|^%(?:\w|\w+%|\(\w+\)\w)$|^[<{]/;

/** Of this text, under the name of a header, a variable or an option; null: it has none. */
export function writtenCredential(name: string | null, text: string, isHeader = false): Written {
  if (text.trim() === '' || referencePattern.test(text)) return 'none';
  if (isCredential(text)) return 'credential';
  if (name !== null && credentialName.test(name)) {
    if (meantAsReference.test(text) || (isHeader && meantInHeader.test(text))) return 'no reference';
    if (accessKey.test(text) || (isHeader && onlyCredential.test(name)) || followsScheme(name, text))
      return 'credential';
    if (looksLikeOne(text)) return 'perhaps';
  }
  return hasNamedOne(text) || hasQueriedOne(text) ? 'perhaps' : 'none';
}

/** Whatever its name: it begins as those of a known service do, or is a password in an address. */
export function isCredential(text: string): boolean {
  return known.test(text) || passwordIn(text);
}

function hasNamedOne(text: string): boolean {
  for (const found of text.matchAll(named)) {
    if (!credentialName.test(found[1] ?? '')) continue;
    value.lastIndex = found.index + found[0].length;
    const [, first = '', second = ''] = value.exec(text) ?? [];
    if (looksLikeOne(first) || (isScheme(first, second) && looksLikeOne(second))) return true;
  }
  return false;
}

/** What is behind it may be the next setting instead. */
function isScheme(word: string, next: string): boolean {
  return /^[\w-]{1,20}$/.test(word) && !/^[\w.-]+=[^=]/.test(next);
}

/** Words, dates, numbers and ids in hex have no such mixture. */
function hasQueriedOne(text: string): boolean {
  return [...text.matchAll(queried)].some(([, word = '']) =>
    [/\d/, /[a-z]/, /[A-Z]/].every((kind) => kind.test(word)),
  );
}

/** In an address, which has to stand somewhere as it is: what its author says of it is taken. */
export function isSuspectAddress(address: string): boolean {
  return writtenCredential(null, address) !== 'none';
}

/**
 * Of `scheme://user:password@host`. Some write a `/`, `?` or `#` in the password as it is; behind digits it is a path, and
 * another host or setting behind a `,` or `;`. What ends at an `@` is looked through once. An image that is pinned by its digest
 * has none.
 */
function passwordIn(text: string): boolean {
  return text.split(/(?<=@)(?!sha\d{3}:[0-9a-f]{4})|\s/).some((piece) => {
    if (!piece.endsWith('@')) return false;
    const [, password] = /:\/\/[^/?#:[]*:(?!\d*[/?#,;])(.+)@/s.exec(piece) ?? [];
    return password !== undefined && !placeholder.test(password);
  });
}

/** These headers carry nothing else, with a scheme and without. */
const onlyCredential = /^(?:proxy-)?authorization$/i;

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

/** An address as a message may tell it: keys stand in queries too. Some write a `/`, `?` or `#` in a password as it is. */
export function withoutCredentials(address: string): string {
  const [start, end] = [address.indexOf('://') + '://'.length, address.lastIndexOf('@')];
  const told =
    start < '://'.length || end < start ? address : `${address.slice(0, start)}…${address.slice(end)}`;
  return told.replace(/[?#].+/s, (rest) => `${rest.slice(0, 1)}…`);
}
