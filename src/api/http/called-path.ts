import { createHash } from 'node:crypto';

/** The store's index of idempotency keys takes no more than some 2,700 bytes. */
const longest = 1_000;

/**
 * What was called, written in one way: a request can spell the same parameters in many, and routing takes them for the
 * same. One too long to be looked up by stands for itself as a digest.
 */
export function calledPath(route: string, params: Readonly<Record<string, string>>): string {
  const path = route.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  return path.length > longest ? `sha256:${createHash('sha256').update(path).digest('hex')}` : path;
}
