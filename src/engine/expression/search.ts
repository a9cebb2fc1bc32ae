/** Steps. Up to here JavaScript's own search is quicker, whatever the texts are. */
const mostSteps = 100_000;
const shortPart = 16;

const isQuick = (text: string, part: string): boolean =>
  part.length <= shortPart || text.length * part.length <= mostSteps;

/**
 * What the search takes at most, in units of a meter: about the same for each unit of the text, however long the part is (measured).
 * A part of one letter is no cheaper: JavaScript looks for one of its bytes, and each letter of a text may have that byte.
 */
export function searchUnits(text: string, part: string): number {
  return part.length > text.length ? 0 : text.length + part.length;
}

/**
 * `text.includes(part)` in time linear in the sum of the lengths (Knuth, Morris and Pratt). JavaScript's own search takes the
 * product of the lengths for texts that are made for it: minutes, for texts that a caller may send.
 */
export function includesText(text: string, part: string): boolean {
  if (isQuick(text, part)) return text.includes(part);
  const longest = longestBorders(part);
  let found = 0;
  for (let at = 0; at < text.length; at += 1) {
    found = extendMatch(part, longest, found, text.charCodeAt(at));
    if (found === part.length) return true;
  }
  return false;
}

/** By length of each beginning of the part: the length of its longest proper end that is also a beginning of it. */
function longestBorders(part: string): Int32Array {
  const longest = new Int32Array(part.length + 1);
  for (let at = 1; at < part.length; at += 1)
    longest[at + 1] = extendMatch(part, longest, longest[at] as number, part.charCodeAt(at));
  return longest;
}

/** How many units of the part are matched after the next unit of the text; `before`: how many were. */
function extendMatch(part: string, longest: Int32Array, before: number, unit: number): number {
  let found = before;
  while (found > 0 && part.charCodeAt(found) !== unit) found = longest[found] as number;
  return part.charCodeAt(found) === unit ? found + 1 : found;
}
