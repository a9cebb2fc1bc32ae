import type { Connection } from '../../model/policy-set.js';
import { referencePattern } from '../shape/notifications.js';
import { withoutCredentials } from './credentials.js';

/** A compiled connection, or why it cannot be used. */
export type CompiledConnection<T extends Connection = Connection> =
  { readonly status: 'made'; readonly connection: T } | Misfit;

export interface Misfit {
  readonly status: 'invalid';
  readonly code?: 'SECRET_REFERENCE';
  /** Of the connection; the name or index of a value below it follows after a `/`. */
  readonly key: string;
  readonly message: string;
}

export function invalidAddress(key: string, text: string, query: 'query' | 'no query'): Misfit {
  return {
    status: 'invalid',
    key,
    message: `\`${withoutCredentials(text)}\` is no http address without ${query === 'query' ? '' : 'query, '}credentials and fragment, and no reference`,
  };
}

/** Whether a connection may have this address: http or https without credentials and fragment, or a reference. Credentials belong
 * in headers, as references. */
export function isAddress(text: string, query: 'query' | 'no query'): boolean {
  if (referencePattern.test(text)) return true;
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && url.hash === '';
  return bare && /^https?:$/.test(url.protocol) && (query === 'query' || url.search === '');
}
