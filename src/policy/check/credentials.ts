import { referencePattern } from '../shape/notifications.js';

// A credential that is written into a policy is read by everybody who reads the folder, and is not masked where a target sends
// it back, as what a reference holds is.

/** Of a header or a variable: what is so named holds a credential. */
const credentialName =
  /(?:authorization|cookie|token|secret|password|passwd|passphrase|credentials?|[-_]pass|[-_]pwd|(?:api|access|account|auth|private|secret|signing|subscription|functions)[-_.]?key)$/i;
/** `scheme://user:password@host`. */
const withPassword = /:\/\/[^\s/?#@:]*:[^\s/?#@]+@/;

/** Is this text, under this name, a credential that stands here itself? */
export function isWrittenCredential(name: string, text: string): boolean {
  if (text.trim() === '' || referencePattern.test(text)) return false;
  return credentialName.test(name) || holdsPassword(text);
}

export function holdsPassword(text: string): boolean {
  return withPassword.test(text);
}

/** An address as a message may tell it. */
export function withoutCredentials(address: string): string {
  return address.replace(/:\/\/[^/?#]*@/, '://…@');
}
