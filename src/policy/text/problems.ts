import type { FindingCode } from './findings.js';

/** What is wrong with a policy, where, and what to do. */
export interface Problem<Code extends string = string> {
  readonly code: Code;
  /** JSON pointer into the document. */
  readonly path: string;
  readonly file?: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** House style: lower case, the author's value in backticks, what to do next. */
  readonly message: string;
  /** The nearest valid name. */
  readonly suggestion?: string;
  /** A warning that the author has read and accepted, and why. */
  readonly acknowledged?: string;
}

/** What a check of policies finds: each code is in the table of findings.ts. */
export type Finding = Problem<FindingCode>;

export type PathSegment = string | number;

/** Of two tiers that are equally near, the stricter is proposed: whoever takes it over unread asks for more, not for less. */
const strictness: readonly string[] = ['read_only', 'reversible', 'irreversible'];

function isStricter(tier: string, other: string): boolean {
  return strictness.includes(other) && strictness.indexOf(tier) > strictness.indexOf(other);
}

/** The nearest of the names; undefined where none is near enough to be meant. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(name.length / 3));
  let best: { name: string; distance: number } | null = null;
  // Each comparison takes time: among thousands of names a proposal is hardly right.
  for (const candidate of names.slice(0, 2_000)) {
    const found = distance(name.toLowerCase(), candidate.toLowerCase());
    if (found > limit || (best !== null && found > best.distance)) continue;
    if (best === null || found < best.distance || isStricter(candidate, best.name))
      best = { name: candidate, distance: found };
  }
  return best?.name;
}

/** Levenshtein with swaps of neighbours: `gaurds` is one step from `guards`. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 80) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, (before[j - 2] ?? 0) + 1);
      row.push(value);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
