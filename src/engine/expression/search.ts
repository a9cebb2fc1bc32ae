/** Up to here the search that JavaScript has is quicker, whatever the texts are. */
const mostSteps = 1_000_000;
const shortPart = 16;

const isQuick = (text: string, part: string): boolean =>
  part.length <= shortPart || text.length * part.length <= mostSteps;

/** What it takes at most, in the units of a meter. */
export function searchUnits(text: string, part: string): number {
  if (part.length > text.length) return 0;
  return isQuick(text, part) ? Math.ceil((text.length * part.length) / 8) : (text.length + part.length) * 2;
}

/**
 * `text.includes(part)`, in time of their lengths together: JavaScript's own search takes that of one length times the
 * other for texts that are made for it, which is minutes for those that one caller may send (Knuth, Morris and Pratt).
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

/** Of each beginning of the part: the length of its longest end that is also a beginning of it, and not all of it. */
function longestBorders(part: string): Int32Array {
  const longest = new Int32Array(part.length + 1);
  for (let at = 1; at < part.length; at += 1)
    longest[at + 1] = extendMatch(part, longest, longest[at] as number, part.charCodeAt(at));
  return longest;
}

/** How much of the part has been found once this unit has come. */
function extendMatch(part: string, longest: Int32Array, before: number, unit: number): number {
  let found = before;
  while (found > 0 && part.charCodeAt(found) !== unit) found = longest[found] as number;
  return part.charCodeAt(found) === unit ? found + 1 : found;
}
