import type { ConnectionKind, Kind } from './kind.js';
import * as table from './kinds.js';

/** Sorted by name, from Z to A: the order in which schemas and messages name them. */
export const kinds: readonly Kind[] = Object.values<Kind>(table).sort((a, b) => (a.kind < b.kind ? 1 : -1));

const byName = new Map(kinds.map((kind) => [kind.kind, kind]));

/** Undefined: this build does not have the kind. A plan of a later build may name it. */
export function findKind(name: string): Kind | undefined {
  return byName.get(name);
}

/** Throws for a kind that this build does not have, and for `human`, which opens an approval and makes no call. */
export function requireKind(name: string): Kind {
  const kind = byName.get(name);
  if (kind === undefined) throw new Error(`there is no kind of executor \`${name}\` that makes a call`);
  return kind;
}

/** The connections that executors of this kind call over. Throws where the kind has none. */
export function requireConnectionKind(name: string): ConnectionKind {
  const { connection } = requireKind(name);
  if (connection === null) throw new Error(`executors of kind \`${name}\` have no connections`);
  return connection;
}
