import { parseText } from '../text/source.js';
import type { PathSegment } from '../text/problems.js';

/**
 * The line, from 1, of each gate in a policy's text: that of its condition (`on`) where it has a condition, else that of the
 * gate. Null: no path was given, or the text is no document.
 */
export function linesOfGates(
  text: string,
  paths: readonly (readonly PathSegment[] | null)[],
): readonly (number | null)[] {
  const parsed = paths.every((path) => path === null) ? null : parseText(text, undefined, 'yaml', true);
  return paths.map((path) =>
    path === null || parsed?.status !== 'parsed' ? null : parsed.source.locate([...path, 'on'], 'key').line,
  );
}
