import { referencePattern } from '../shape/notifications.js';

// A credential that is written into a policy is read by everybody who reads the folder, and is not masked where a target sends
// it back; the value of a reference is. A certain credential does not load; what may be a public name as well is a warning. A
// text that was meant as a reference and is not one does not load either: it would be sent as if it were the credential.

export type CredentialVerdict = 'credential' | 'no reference' | 'perhaps' | 'none';

/** Names of headers, variables, options and settings that hold a credential. */
const credentialName =
  /(?:authorization|cookie|token|secret|password|passwd|passphrase|credentials?|signature|(?:^|[-_])(?:pass|pwd|pat|sig)|(?:api|access|account|application|auth|private|secret|signing|subscription|functions)[-_.]?key)$/i;

/**
 * The name in `Name: value`, `NAME=value` or `--name=value` anywhere in a text: in a list of settings, a query, or JSON, whose
 * quotes may be escaped.
 */
const settingName = /(?<![\w.-])-{0,2}([a-z_][\w.-]{0,99})\\?["']?\s?[=:]/gi;

/** The first two words of a value. */
const settingValue = /\s?\\?["']?((?:[^\s;&,"'\\]|\\(?!["'])){1,64})(?:\s([^\s;&,"'\\]{1,64}))?/y;

/** A value behind `?` or `&` that is long enough for a key, such as `code=…` and `key=…`, whose names say nothing. */
const queryValue = /[?&][\w.-]{1,100}=([\w-]{30,200}={0,2})(?=[&#\s"']|$)/g;

/** Tokens of known services, by the beginnings that make them recognizable. */
const knownToken =
  /(?<![a-z0-9])(?:[sr]k_(?:live|test)_\w{8}|gh[oprsu]_\w{8}|github_pat_\w{8}|glpat-[\w-]{8}|xox[abeoprs]-[\w-]{8}|hooks\.slack\.com\/services\/\w{8}|sk-(?:ant|proj)-[\w-]{8}|hvs\.\w{8}|-----BEGIN [A-Z ]*PRIVATE KEY-----)/;

/** An AWS access key id. It is public, so it counts only under the name of a credential. */
const accessKey = /^A[KS]IA[A-Z0-9]{16}$/;

/** Text that was meant as a reference: `env:NAME`, `secret:name`, `$NAME`, `${NAME}`, `$(command)`, `{{ name }}`, `%NAME%`. */
const meantAsReference = /(?:^|\s)(?:env|secret)s?:|\$\{{0,2}\s*[a-z_]|\$\(|\{\{|(?:^|\s)%\w+%$/i;

/**
 * In a header, where nothing is filled in, also `{env:NAME}`, `<name>`, `!secret name` and any `scheme:…`, perhaps after a word
 * such as `Bearer`.
 */
const meantInHeader = /^\s*(?:[\w-]+\s+)?(?:[{<%!]|[a-z][a-z0-9+.-]*:\S)/i;

/** Values that somebody fills in: `%s`, `%PASSWORD%`, `<password>`, `{password}`, and any with a `$`. */
const placeholder = /\$|^%(?:\w|\w+%|\(\w+\)\w)$|^[<{]/;

/** Judges a text. `name`: that of its header, variable or option; null: it has none. */
export function judgeCredential(name: string | null, text: string, isHeader = false): CredentialVerdict {
  if (text.trim() === '' || referencePattern.test(text)) return 'none';
  if (isCredential(text)) return 'credential';
  if (name !== null && credentialName.test(name)) {
    if (meantAsReference.test(text) || (isHeader && meantInHeader.test(text))) return 'no reference';
    if (accessKey.test(text) || (isHeader && authorizationHeader.test(name)) || followsScheme(name, text))
      return 'credential';
    if (looksLikeCredential(text)) return 'perhaps';
  }
  return hasNamedCredential(text) || hasCredentialInQuery(text) ? 'perhaps' : 'none';
}

/** Certain whatever its name is: the token of a known service, or a password in an address. */
export function isCredential(text: string): boolean {
  return knownToken.test(text) || hasPassword(text);
}

function hasNamedCredential(text: string): boolean {
  for (const found of text.matchAll(settingName)) {
    if (!credentialName.test(found[1] ?? '')) continue;
    settingValue.lastIndex = found.index + found[0].length;
    const [, first = '', second = ''] = settingValue.exec(text) ?? [];
    if (looksLikeCredential(first) || (isScheme(first, second) && looksLikeCredential(second))) return true;
  }
  return false;
}

/** Whether the word is a scheme such as `Bearer` before a credential, and the word after it is not the next setting. */
function isScheme(word: string, next: string): boolean {
  return /^[\w-]{1,20}$/.test(word) && !/^[\w.-]+=[^=]/.test(next);
}

/** Only a value with a digit, a lower and an upper case letter counts: words, dates, numbers and hex ids have no such mixture. */
function hasCredentialInQuery(text: string): boolean {
  return [...text.matchAll(queryValue)].some(([, word = '']) =>
    [/\d/, /[a-z]/, /[A-Z]/].every((kind) => kind.test(word)),
  );
}

/** An address is only suspected: it must be written somewhere, and its author may acknowledge that it is no secret. */
export function isSuspectAddress(address: string): boolean {
  return judgeCredential(null, address) !== 'none';
}

/**
 * Whether the text has a password as in `scheme://user:password@host`. A password may hold an unescaped `/`, `?` or `#`; after
 * digits alone these begin a path, and `,` or `;` begins another host or setting. Each piece that ends at an `@` is looked
 * through once. An image that is pinned by its digest (`@sha256:…`) has no password.
 */
function hasPassword(text: string): boolean {
  return text.split(/(?<=@)(?!sha\d{3}:[0-9a-f]{4})|\s/).some((piece) => {
    if (!piece.endsWith('@')) return false;
    const [, password] = /:\/\/[^/?#:[]*:(?!\d*[/?#,;])(.+)@/s.exec(piece) ?? [];
    return password !== undefined && !placeholder.test(password);
  });
}

/** Headers that carry nothing but a credential, with a scheme or without. */
const authorizationHeader = /^(?:proxy-)?authorization$/i;

function followsScheme(name: string, text: string): boolean {
  const [, scheme = '', credential = ''] = /^\s*([a-z][a-z0-9-]*)\s+(\S+)/i.exec(text) ?? [];
  if (credential === '' || placeholder.test(credential)) return false;
  return /^(?:bearer|basic)$/i.test(scheme) || (/authorization$/i.test(name) && credential.length >= 8);
}

/** Long enough, and not a path, an ARN or a placeholder: `no-check`, `lang=en` and `prod/app1/database-2024` do not look so. */
function looksLikeCredential(text: string): boolean {
  const isPath = /[/\\]/.test(text) && !/^[a-z0-9+/]{32,}={0,2}$/i.test(text);
  if (isPath || /\$|^arn:/i.test(text)) return false;
  const isLong = (word: string): boolean => word.length >= (/\d/.test(word) && /[a-z]/i.test(word) ? 8 : 16);
  return text.split(/[\s,;:=]+/).some(isLong);
}

/**
 * An address as a message may show it: without user and password, and without its query, which may hold keys. A password may
 * hold an unescaped `/`, `?` or `#`.
 */
export function withoutCredentials(address: string): string {
  const [start, end] = [address.indexOf('://') + '://'.length, address.lastIndexOf('@')];
  const withoutUser =
    start < '://'.length || end < start ? address : `${address.slice(0, start)}…${address.slice(end)}`;
  return withoutUser.replace(/[?#].+/s, (rest) => `${rest.slice(0, 1)}…`);
}
