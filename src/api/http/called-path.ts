import { createHash } from 'node:crypto';

/** The store's index of idempotency keys takes about 2,700 bytes at most. */
const longest = 1_000;

/**
 * The called path in a single spelling: a request can spell the same parameters in many ways, which routing treats alike. A path
 * too long to be looked up by is replaced by its digest.
 */
export function calledPath(route: string, params: Readonly<Record<string, string>>): string {
  const path = route.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  return path.length > longest ? `sha256:${createHash('sha256').update(path).digest('hex')}` : path;
}
