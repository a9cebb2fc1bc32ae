import { isObject, type Json } from '../../model/values/json.js';
import { joinFirst } from '../../model/values/text.js';
import { rememberDigests } from '../run/work.js';
import type { Path } from '../plan.js';
import type { Kit, RunState } from '../state.js';
import { readPath } from '../expression/template.js';
import { callsOf, type Calling } from './effects.js';

// What a call reads of its run besides its arguments: the approval binds these values too, as of when it is asked for.

/** By path, as written: the digest of its value. A path that finds nothing is left out. */
export type Reads = Readonly<Record<string, string>>;

export function readsOf(
  kit: Pick<Kit, 'digest'>,
  calling: Calling,
  { context, input }: Pick<RunState, 'context' | 'input'>,
): Reads {
  const found: Record<string, string> = {};
  // Paths that are written differently may lead to one value.
  const { digest } = rememberDigests(kit);
  for (const path of pathsIn(callsOf(calling) as unknown as Json)) {
    if (Object.hasOwn(found, path.text)) continue;
    const read = readPath({ context, input }, path);
    if (read.found) found[path.text] = digest(read.value);
  }
  return found;
}

/** The paths whose values are no longer the same. */
export function changedReads(before: Reads, now: Reads): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].filter(
    (path) => before[path] !== now[path],
  );
}

export function readsProblem(changed: readonly string[]): string {
  return `what it would send is not what it was approved for: ${joinFirst(changed.map((path) => `\`${path}\``))} has changed`;
}

function pathsIn(value: Json): Pick<Path, 'scope' | 'segments' | 'text'>[] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(pathsIn);
  if (!isObject(value) || value['kind'] === 'literal') return [];
  if (value['kind'] === 'path') return [value as unknown as Path];
  return Object.values(value).flatMap(pathsIn);
}
