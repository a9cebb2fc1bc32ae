import { parseText } from '../text/source.js';
import type { PathSegment } from '../text/problems.js';

/** The line, from 1, of each gate in a policy's text, its condition's where it has one; null: no path, or no such text. */
export function linesOfGates(
  text: string,
  paths: readonly (readonly PathSegment[] | null)[],
): readonly (number | null)[] {
  const parsed = paths.every((path) => path === null) ? null : parseText(text);
  return paths.map((path) =>
    path === null || parsed?.status !== 'parsed' ? null : parsed.source.locate([...path, 'on'], 'key').line,
  );
}
