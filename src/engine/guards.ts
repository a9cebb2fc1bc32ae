import type { Json, JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import type { Comparison, Guard, Operand, Transition } from './plan.js';
import type { Evidence } from './state.js';
import { mostChainBytes } from '../model/limits.js';
import { joinFirst, truncate } from '../model/values/text.js';
import { compare } from './expression/compare.js';
import { countEvidence, meterEvidence } from './expression/evidence.js';
import { unmetered, type Meter } from './expression/meter.js';
import { jsonBeginning } from './gates/shown.js';
import { valueAt } from './expression/template.js';

export type Verdict = 'pass' | 'fail' | 'error';

export interface GuardContext {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly principal: Principal | null;
  readonly evidence: readonly Evidence[];
  readonly state: string;
  readonly stay: number;
  /** The work that is left for this guard and whatever shares the meter. Absent: no limit, for where nobody waits. */
  readonly meter?: Meter;
}

export interface Seen {
  readonly path: string;
  readonly value: Json;
}

export interface Evaluation {
  readonly verdict: Verdict;
  /** Lower case, names the operand and the value that decided. */
  readonly reason: string;
  readonly reads: readonly Seen[];
}

/** Far more than a loader accepts: what a store gives back may be anything. */
const maxGuardDepth = 64;
const maxGuards = 10_000;

/** How many parts a guard has. It stops counting above `maxGuards`, and gives more than that for a guard nested too deeply. */
function partsOf(guard: Guard, depth: number): number {
  if (depth > maxGuardDepth) return maxGuards + 1;
  if (guard.kind === 'not') return 1 + partsOf(guard.guard, depth + 1);
  // Each kind of evidence is a condition of its own.
  if (guard.kind === 'evidence') return Math.max(1, guard.requires.length);
  if (guard.kind !== 'allOf' && guard.kind !== 'anyOf') return 1;
  let parts = 1;
  for (const part of guard.guards) {
    parts += partsOf(part, depth + 1);
    if (parts > maxGuards) break;
  }
  return parts;
}

/** It has so many parts, or is nested so deeply, that it is not evaluated: its verdict is an error. */
export function isTooLarge(guard: Guard): boolean {
  return partsOf(guard, 0) > maxGuards;
}

/** How many conditions these guards have together; each guard is counted up to its limit and no further. */
export function conditionsOf(guards: readonly Guard[]): number {
  return guards.reduce((sum, guard) => sum + partsOf(guard, 0), 0);
}

/** Characters. A reason is in the answer, on record and in what an approver reads. */
const longestReason = 2_000;

/** Three-valued: error denies everywhere, also under `not` (docs/spec/semantics.md §3). */
export function evaluateGuard(guard: Guard, at: GuardContext): Evaluation {
  const { verdict, reason, read } = isTooLarge(guard) ? oversized : evaluate(guard, at);
  const reads: Seen[] = [];
  read(reads);
  return { verdict, reason: truncate(reason(), longestReason), reads };
}

/** The verdict of `evaluateGuard`, without working out its reason. */
export function verdictOf(guard: Guard, at: GuardContext): Verdict {
  return isTooLarge(guard) ? 'error' : evaluate(guard, at).verdict;
}

/** A verdict; its reason, and the values that were read, are worked out only when they are asked for. */
interface LazyEvaluation {
  readonly verdict: Verdict;
  readonly reason: () => string;
  readonly read: (into: Seen[]) => void;
}

const readNothing = (): void => undefined;

const oversized: LazyEvaluation = {
  verdict: 'error',
  reason: () => `a guard of more than ${maxGuards} parts, or nested deeper than ${maxGuardDepth}`,
  read: readNothing,
};

/** The reason where a meter is used up: of a guard, and of the guards after it. */
export const tooMuchCompared = `the conditions before it compare more than the ${mostChainBytes} bytes that they may`;

const exhausted: LazyEvaluation = { verdict: 'error', reason: () => tooMuchCompared, read: readNothing };

function evaluate(guard: Guard, at: GuardContext): LazyEvaluation {
  switch (guard.kind) {
    case 'permission':
      return checkMembership('permission', guard.permission, at.principal?.permissions, at);
    case 'role':
      return checkMembership('role', guard.role, at.principal?.roles, at);
    case 'expr':
      return evaluateComparison(guard.expr, at);
    case 'evidence':
      return evaluateEvidence(guard, at);
    case 'allOf':
      return combine(guard.guards, at, 'fail');
    case 'anyOf':
      return combine(guard.guards, at, 'pass');
    case 'not':
      return negate(evaluate(guard.guard, at));
    default:
      return unknownKind(guard);
  }
}

/** Plans are stored and read back: a kind that this engine does not know is an error, never a pass. */
function unknownKind(guard: never): LazyEvaluation {
  return {
    verdict: 'error',
    reason: () => `unknown guard kind \`${String((guard as { kind: unknown }).kind)}\``,
    read: readNothing,
  };
}

function checkMembership(
  what: string,
  name: string,
  held: readonly string[] = [],
  { meter = unmetered }: GuardContext,
): LazyEvaluation {
  meter.look(held);
  meter.take(held.length);
  if (!meter.isLeft()) return exhausted;
  const passes = held.includes(name);
  return {
    verdict: passes ? 'pass' : 'fail',
    reason: () => `the caller ${passes ? 'holds' : 'does not hold'} ${what} \`${name}\``,
    read: (into) => into.push({ path: `principal.${what}s`, value: held }),
  };
}

function evaluateComparison(expr: Comparison, at: GuardContext): LazyEvaluation {
  const { meter = unmetered } = at;
  if (!meter.isLeft()) return exhausted;
  const [left, right] = [valueOf(expr.left, at), valueOf(expr.right, at)];
  // A record names the size and digest of each value, so both are read whole.
  for (const value of [left, right]) if (value !== undefined) meter.look(value);
  const compared = compare(left, expr.operator, right, meter);
  const read = (into: Seen[]): void => {
    for (const operand of [expr.left, expr.right])
      if (operand.kind === 'path') into.push({ path: operand.text, value: valueAt(at, operand) ?? null });
  };
  return {
    verdict: compared.verdict,
    reason: () => {
      const reads: Seen[] = [];
      read(reads);
      const seen = reads.map(({ path, value }) => `${path} is ${valueText(value)}`);
      const said =
        compared.verdict === 'error'
          ? `\`${expr.text}\` cannot be evaluated: ${compared.reason}`
          : `\`${expr.text}\` is ${compared.verdict === 'pass' ? 'true' : 'false'}`;
      return seen.length === 0 ? said : `${said} (${seen.join(', ')})`;
    },
    read,
  };
}

/** `undefined`: the path does not resolve. */
function valueOf(operand: Operand, at: GuardContext): Json | undefined {
  return operand.kind === 'literal' ? operand.value : valueAt(at, operand);
}

function valueText(value: Json): string {
  return `\`${jsonBeginning(value, 120)}\``;
}

function evaluateEvidence(
  { requires }: Extract<Guard, { kind: 'evidence' }>,
  at: GuardContext,
): LazyEvaluation {
  const { meter = unmetered } = at;
  meterEvidence(meter, at, requires.length);
  if (!meter.isLeft()) return exhausted;
  const counted = requires.map(({ kind, count, distinct }) => {
    const have = countEvidence(kind, distinct, at);
    return { kind, count, have, enough: Number.isInteger(count) && count >= 1 && have >= count };
  });
  const missing = counted.filter(({ enough }) => !enough);
  const judged = (verdict: Verdict, reason: () => string): LazyEvaluation => ({
    verdict,
    reason,
    // No more is reported than was required: a run does not keep the rest (`prune`).
    read: (into) => {
      for (const { kind, count, have, enough } of counted)
        into.push({ path: `evidence.${kind}`, value: enough ? count : have });
    },
  });
  if (requires.length === 0) return judged('error', () => 'an evidence guard that requires nothing');
  return missing.length === 0
    ? judged('pass', () => 'the required evidence is recorded')
    : judged('fail', () => {
        const told = missing.map(({ kind, count, have }) => `\`${kind}\` ${have} of ${count}`);
        return `evidence is missing: ${joinFirst(told)}`;
      });
}

function combine(guards: readonly Guard[], at: GuardContext, decisive: 'pass' | 'fail'): LazyEvaluation {
  if (guards.length === 0)
    return { verdict: 'error', reason: () => 'an empty list of guards', read: readNothing };
  const all = guards.map((guard) => evaluate(guard, at));
  const read = (into: Seen[]): void => {
    for (const judged of all) judged.read(into);
  };
  const decided =
    all.find((judged) => judged.verdict === decisive) ?? all.find((judged) => judged.verdict === 'error');
  if (decided !== undefined) return { verdict: decided.verdict, reason: decided.reason, read };
  return decisive === 'fail'
    ? { verdict: 'pass', reason: () => 'all of the guards pass', read }
    : {
        verdict: 'fail',
        reason: () => `none of the guards passes: ${joinReasons(all.map(({ reason }) => reason))}`,
        read,
      };
}

/** The first reasons, as many as a reason has room for. */
function joinReasons(reasons: readonly (() => string)[]): string {
  let text = '';
  for (const reason of reasons) {
    text += `${text === '' ? '' : '; '}${reason()}`;
    if (text.length > longestReason) break;
  }
  return text;
}

function negate(inner: LazyEvaluation): LazyEvaluation {
  if (inner.verdict === 'error') return inner;
  return {
    verdict: inner.verdict === 'pass' ? 'fail' : 'pass',
    reason: () => `not: ${inner.reason()}`,
    read: inner.read,
  };
}

/** Does the guard read arguments, which only a submit brings? Then a link cannot promise that it passes. */
export function readsArguments(guard: Guard): boolean {
  return isTooLarge(guard) || readsBelow(guard);
}

function readsBelow(guard: Guard): boolean {
  return leavesOf(guard).some(
    (leaf) =>
      leaf.kind === 'expr' &&
      [leaf.expr.left, leaf.expr.right].some((side) => side.kind === 'path' && side.scope === 'arguments'),
  );
}

/** All guards of a transition, with the conditions of its gates and branches. */
export function guardsIn({
  guards,
  gates,
  branches,
}: Pick<Transition, 'guards' | 'gates' | 'branches'>): readonly Guard[] {
  return [...guards, ...gates.flatMap(({ on }) => on ?? []), ...branches.map(({ when }) => when)];
}

/** The conditions that the guard joins, in order: itself, where it joins none. */
export function leavesOf(guard: Guard): readonly Exclude<Guard, { kind: 'allOf' | 'anyOf' | 'not' }>[] {
  switch (guard.kind) {
    case 'allOf':
    case 'anyOf':
      return guard.guards.flatMap((part) => leavesOf(part));
    case 'not':
      return leavesOf(guard.guard);
    default:
      return [guard];
  }
}

/** Which verdicts the guard could give now to some caller with some arguments. */
export function possibleVerdicts(guard: Guard, at: GuardContext): Possible {
  return isTooLarge(guard) ? { pass: false, fail: false } : verdictsBelow(guard, at);
}

interface Possible {
  readonly pass: boolean;
  readonly fail: boolean;
}

function verdictsBelow(guard: Guard, at: GuardContext): Possible {
  switch (guard.kind) {
    case 'permission':
    case 'role':
      return { pass: true, fail: true };
    case 'allOf':
    case 'anyOf': {
      const all = guard.guards.map((part) => verdictsBelow(part, at));
      // The verdict of an empty list is an error.
      if (all.length === 0) return { pass: false, fail: false };
      return guard.kind === 'allOf'
        ? { pass: all.every((part) => part.pass), fail: all.some((part) => part.fail) }
        : { pass: all.some((part) => part.pass), fail: all.every((part) => part.fail) };
    }
    case 'not': {
      const inner = verdictsBelow(guard.guard, at);
      return { pass: inner.fail, fail: inner.pass };
    }
    default: {
      if (readsBelow(guard)) return { pass: true, fail: true };
      const { verdict } = evaluate(guard, at);
      return { pass: verdict === 'pass', fail: verdict === 'fail' };
    }
  }
}
