import type { Executor, Gate, Guard, Mapping, Reliability, TextTemplate, Tier } from '../../engine/plan.js';
import type { Kit } from '../../engine/state.js';
import type { JsonObject } from '../../model/values/json.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { ErrorFinding, WarningFinding } from '../text/findings.js';
import { nearest, type Finding, type PathSegment } from '../text/problems.js';
import { problemAt, type Place, type Source } from '../text/source.js';

/** A tool as flows use it. */
export interface CompiledTool {
  readonly name: string;
  readonly title: string;
  readonly description: string | null;
  readonly tier: Tier | null;
  readonly inputSchema: JsonObject | null;
  readonly outputSchema: JsonObject | null;
  readonly guards: readonly Guard[];
  readonly gate: Gate | null;
  readonly executor: Executor;
  readonly output: readonly Mapping[];
  readonly evidence: string | null;
  readonly reliability: Reliability;
  readonly summary?: TextTemplate;
  readonly consequence?: TextTemplate;
  readonly readOnlyBecause?: string;
}

/** What a single flow is compiled against. Plain JSON. */
export interface Catalog {
  readonly policySet: PolicySet;
  readonly tools: readonly CompiledTool[];
}

/** A document that is being compiled: what it is compiled against, and what was found in it. */
export interface Compiling {
  readonly source: Source;
  readonly catalog: Catalog;
  readonly errors: Finding[];
  readonly warnings: Finding[];
  /**
   * The document is a flow that was published before, perhaps when less was an error. A literal that is sent in another writing
   * is then only a warning, and `errorUnlessPublished` reports nothing.
   */
  readonly isPublished?: boolean | undefined;
  /** The arguments that the step declares whose executor is compiled. */
  readonly argumentNames?: ReadonlySet<string>;
  /** The floors of the flow's environment. */
  readonly floors?: Kit['floors'];
  /**
   * Warnings that would apply if the step had no other gate, or if no other file were wrong. They are shown to nobody, but an
   * acknowledgement of such a warning counts as used.
   */
  readonly moot?: Finding[];
}

export type Path = readonly PathSegment[];

/** The most problems that are reported at once, so that a document of a megabyte is answered as quickly as a small document. */
export const maxProblems = 100;

/** A function, because the search takes time: it runs only for problems that are reported. */
type Suggestion = string | undefined | (() => string | undefined);

const suggestionOf = (suggestion: Suggestion): string | undefined =>
  typeof suggestion === 'function' ? suggestion() : suggestion;

export function error(
  to: Compiling,
  code: ErrorFinding,
  path: Path,
  message: string,
  at: Place = 'value',
  suggestion?: Suggestion,
): void {
  if (to.errors.length >= maxProblems) return;
  to.errors.push(problemAt(to.source, code, path, message, at, suggestionOf(suggestion)));
}

/** An error that earlier builds did not report: a flow that was published before goes on as it did. */
export function errorUnlessPublished(to: Compiling, ...found: Tail<Parameters<typeof error>>): void {
  if (to.isPublished !== true) error(to, ...found);
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

export function warn(
  to: Compiling,
  code: WarningFinding,
  path: Path,
  message: string,
  at: Place = 'key',
  suggestion?: Suggestion,
): void {
  const before = countWarning(to.warnings, code);
  if (before > maxProblems) return;
  // The last warning is about the whole text: whoever accepts warnings of a part of it does not accept those that are not shown.
  const [place, told] =
    before === maxProblems
      ? [[], `and more of these than the ${maxProblems} that are shown`]
      : [path, message];
  to.warnings.push(problemAt(to.source, code, place, told, at, suggestionOf(suggestion)));
}

/** For each list of warnings, how many of each code were added to it. */
const counts = new WeakMap<Finding[], Map<WarningFinding, number>>();

/**
 * Counts a warning, and gives how many of its code there were before. Codes are counted apart, so that many warnings of a code do
 * not hide those of another: environments refuse some of them.
 */
function countWarning(warnings: Finding[], code: WarningFinding): number {
  const ofCodes = counts.get(warnings) ?? new Map<WarningFinding, number>();
  counts.set(warnings, ofCodes);
  const before = ofCodes.get(code) ?? 0;
  ofCodes.set(code, before + 1);
  return before;
}

/** `timeout` and `timeoutMs` say the same: both together are an error. */
export function assertOneTimeout(
  to: Compiling,
  { timeout, timeoutMs }: { readonly timeout?: number | undefined; readonly timeoutMs?: number | undefined },
  path: Path,
): void {
  if (timeout === undefined || timeoutMs === undefined) return;
  error(to, 'BOTH_PLACES', [...path, 'timeoutMs'], '`timeout` and `timeoutMs` say the same: keep one', 'key');
}

/** False, with an error, where the name is none of the names. */
export function assertKnown(
  to: Compiling,
  code: ErrorFinding,
  what: string,
  name: string,
  names: readonly string[],
  path: Path,
): boolean {
  if (names.includes(name)) return true;
  error(to, code, path, `unknown ${what} \`${name}\``, 'value', () => nearest(name, names));
  return false;
}
