import type { Connection } from '../../model/policy-set.js';
import { referencePattern } from '../shape/notifications.js';
import { withoutCredentials } from './credentials.js';

/** A connection as it is kept, or what in it cannot be used. */
export type Made<T extends Connection = Connection> =
  { readonly status: 'made'; readonly connection: T } | Misfit;

export interface Misfit {
  readonly status: 'invalid';
  readonly code?: 'SECRET_REFERENCE';
  /** Below it, after a `/`, the name or index of one value. */
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

/** An address that a connection may name, or a reference to one. Credentials belong into headers, where they are references. */
export function isAddress(text: string, query: 'query' | 'no query'): boolean {
  if (referencePattern.test(text)) return true;
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && url.hash === '';
  return bare && /^https?:$/.test(url.protocol) && (query === 'query' || url.search === '');
}
