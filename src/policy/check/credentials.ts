import { referencePattern } from '../shape/notifications.js';

// A credential that is written into a policy is read by everybody who reads the folder, and is not masked where a target sends
// it back, as what a reference holds is.

/** Of a header or a variable: what is so named holds a credential. */
const credentialName =
  /(?:authorization|cookie|token|secret|password|passwd|passphrase|credentials?|[-_]pass|[-_]pwd|(?:api|access|account|auth|private|secret|signing|subscription|functions)[-_.]?key)$/i;
/** `scheme://user:password@host`; with a `$` in it, the password is filled in. */
const withPassword = /:\/\/[^\s/?#@:]*:[^\s/?#@$]+@/;

/** Is this text, under this name, a credential that stands here itself? */
export function isWrittenCredential(name: string, text: string): boolean {
  if (text.trim() === '' || referencePattern.test(text)) return false;
  return holdsPassword(text) || (credentialName.test(name) && isLikeCredential(text));
}

/** `no-check`, `yes`, `lang=en`, a path and what a program fills in are none. */
function isLikeCredential(text: string): boolean {
  if (text.includes('$') || /^(?:(?:~|\.{1,2})?\/|[a-z]:\\)/i.test(text)) return false;
  const words = text.split(/[\s,;:=]+/).filter((word) => word.length >= 8);
  return /^(?:bearer|basic)\s+\S/i.test(text) || words.some((word) => /\d/.test(word) && /[a-z]/i.test(word));
}

export function holdsPassword(text: string): boolean {
  return withPassword.test(text);
}

/** An address as a message may tell it. Some write a `/`, `?` or `#` in a password as it is. */
export function withoutCredentials(address: string): string {
  return address.replace(/:\/\/.*@/s, '://…@');
}
