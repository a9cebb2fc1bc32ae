import type { Executor, Gate, Guard, Mapping, Reliability, TextTemplate, Tier } from '../../engine/plan.js';
import type { Kit } from '../../engine/state.js';
import type { JsonObject } from '../../model/json.js';
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

/** What single flows are compiled against. Plain JSON. */
export interface Catalog {
  readonly policySet: PolicySet;
  readonly tools: readonly CompiledTool[];
}

/** One document being compiled: what it is compiled against, and what was found. */
export interface Compiling {
  readonly source: Source;
  readonly catalog: Catalog;
  readonly errors: Finding[];
  readonly warnings: Finding[];
  /**
   * `warned`: it was published, perhaps when less was an error. A literal that is sent in another writing is a warning, and
   * refuses nothing; else it is an error, as is what `newError` tells.
   */
  readonly rewritten?: 'warned' | undefined;
  /** What the environment where the flow lives asks for under effects. */
  readonly floors?: Kit['floors'];
  /**
   * What would be a warning, had the step no other gate, or were no other file wrong: nobody is told, and whoever acknowledges
   * it does so rightly.
   */
  readonly answered?: Finding[];
}

export type Path = readonly PathSegment[];

/** More than these are not told at once: a document of a megabyte is answered as quickly as a small one. */
export const maxProblems = 100;

/** Looking for it takes time, so it is looked for where a problem is told, and not for the thousands after the last. */
type Suggestion = string | undefined | (() => string | undefined);

const suggested = (one: Suggestion): string | undefined => (typeof one === 'function' ? one() : one);

export function error(
  to: Compiling,
  code: ErrorFinding,
  path: Path,
  message: string,
  at: Place = 'value',
  suggestion?: Suggestion,
): void {
  if (to.errors.length >= maxProblems) return;
  to.errors.push(problemAt(to.source, code, path, message, at, suggested(suggestion)));
}

/** Of what earlier builds took: a flow that was published then goes on as it did. */
export function newError(to: Compiling, ...found: Tail<Parameters<typeof error>>): void {
  if (to.rewritten !== 'warned') error(to, ...found);
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
  const before = countOf(to.warnings, code);
  if (before > maxProblems) return;
  // Said of the whole text, so that whoever accepts a part of them does not accept what is not said.
  const [place, said] =
    before === maxProblems
      ? [[], `and more of these than the ${maxProblems} that are said`]
      : [path, message];
  to.warnings.push(problemAt(to.source, code, place, said, at, suggested(suggestion)));
}

/** Of each list of warnings, how many of each code it has been given. */
const counts = new WeakMap<Finding[], Map<WarningFinding, number>>();

/** How many there were before this one. A code does not crowd another one out: some of them refuse. */
function countOf(warnings: Finding[], code: WarningFinding): number {
  const known = counts.get(warnings) ?? new Map<WarningFinding, number>();
  counts.set(warnings, known);
  const before = known.get(code) ?? 0;
  known.set(code, before + 1);
  return before;
}

/** `timeout` and `timeoutMs` are two ways to say one thing. */
export function assertOneTimeout(
  to: Compiling,
  { timeout, timeoutMs }: { readonly timeout?: number | undefined; readonly timeoutMs?: number | undefined },
  path: Path,
): void {
  if (timeout === undefined || timeoutMs === undefined) return;
  error(to, 'BOTH_PLACES', [...path, 'timeoutMs'], '`timeout` and `timeoutMs` say the same: keep one', 'key');
}

/** A reference to something that must exist. */
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
