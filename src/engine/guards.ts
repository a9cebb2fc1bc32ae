import type { Json, JsonObject } from '../model/json.js';
import type { Principal } from '../model/principal.js';
import type { Comparison, Guard, Operand } from './plan.js';
import type { Evidence } from './state.js';
import { compare } from './compare.js';
import { readPath } from './template.js';

export type Verdict = 'pass' | 'fail' | 'error';

export interface GuardContext {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly principal: Principal | null;
  readonly evidence: readonly Evidence[];
  readonly state: string;
  readonly stay: number;
}

export interface Evaluation {
  readonly verdict: Verdict;
  /** Lower case, names the operand and the value that decided. */
  readonly reason: string;
  readonly reads: readonly { readonly path: string; readonly value: Json }[];
}

/** What a loader lets in is far smaller; what a store gives back may be anything. */
const maxGuardDepth = 64;
const maxGuards = 10_000;

/** Never recurses, so that everything after it may. */
function tooLarge(guard: Guard): boolean {
  const open = [{ guard, depth: 0 }];
  let seen = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    seen += 1;
    if (next.depth > maxGuardDepth || seen > maxGuards) return true;
    const inner =
      next.guard.kind === 'not'
        ? [next.guard.guard]
        : next.guard.kind === 'allOf' || next.guard.kind === 'anyOf'
          ? next.guard.guards
          : [];
    for (const one of inner) open.push({ guard: one, depth: next.depth + 1 });
  }
  return false;
}

/** Three-valued: error denies everywhere, also under `not` (SEMANTICS §3). */
export function evaluateGuard(guard: Guard, at: GuardContext): Evaluation {
  if (tooLarge(guard))
    return {
      verdict: 'error',
      reason: `a guard of more than ${maxGuards} parts, or nested deeper than ${maxGuardDepth}`,
      reads: [],
    };
  return evaluate(guard, at);
}

function evaluate(guard: Guard, at: GuardContext): Evaluation {
  switch (guard.kind) {
    case 'permission':
      return membership('permission', guard.permission, at.principal?.permissions);
    case 'role':
      return membership('role', guard.role, at.principal?.roles);
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
function unknownKind(guard: never): Evaluation {
  return {
    verdict: 'error',
    reason: `unknown guard kind \`${String((guard as { kind: unknown }).kind)}\``,
    reads: [],
  };
}

function membership(what: string, name: string, held: readonly string[] | undefined): Evaluation {
  const passes = held?.includes(name) ?? false;
  const reason = passes
    ? `the caller holds ${what} \`${name}\``
    : `the caller does not hold ${what} \`${name}\``;
  return {
    verdict: passes ? 'pass' : 'fail',
    reason,
    reads: [{ path: `principal.${what}s`, value: [...(held ?? [])] }],
  };
}

function evaluateComparison(expr: Comparison, at: GuardContext): Evaluation {
  const reads: { path: string; value: Json }[] = [];
  const value = (operand: Operand): Json | undefined => {
    if (operand.kind === 'literal') return operand.value;
    const read = readPath(at, operand);
    reads.push({ path: operand.text, value: read.found ? read.value : null });
    return read.found ? read.value : undefined;
  };
  const left = value(expr.left);
  const right = value(expr.right);
  const { verdict, reason } = compare(left, expr.operator, right);
  const seen = reads.map((read) => `${read.path} is ${shown(read.value)}`).join(', ');
  const said =
    verdict === 'error'
      ? `\`${expr.text}\` cannot be evaluated: ${reason}`
      : `\`${expr.text}\` is ${verdict === 'pass' ? 'true' : 'false'}`;
  return { verdict, reason: seen === '' ? said : `${said} (${seen})`, reads };
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return `\`${text.length > 120 ? `${text.slice(0, 117)}...` : text}\``;
}

function evaluateEvidence(guard: Extract<Guard, { kind: 'evidence' }>, at: GuardContext): Evaluation {
  const reads = guard.requires.map((need) => ({
    path: `evidence.${need.kind}`,
    value: countEvidence(need.kind, need.distinct, at),
  }));
  const missing = guard.requires.flatMap((need, index) => {
    const have = reads[index]?.value ?? 0;
    return have >= need.count ? [] : [`\`${need.kind}\` ${have} of ${need.count}`];
  });
  if (guard.requires.length === 0)
    return { verdict: 'error', reason: 'an evidence guard that requires nothing', reads };
  return missing.length === 0
    ? { verdict: 'pass', reason: 'the required evidence is recorded', reads }
    : { verdict: 'fail', reason: `evidence is missing: ${missing.join(', ')}`, reads };
}

/**
 * `human_request` counts approvals by distinct humans, never the requester's own (those carry no `by`),
 * and not those of an earlier stay in the current state: rework needs a new approval.
 */
function countEvidence(kind: string, distinct: boolean, at: GuardContext): number {
  const ofKind = at.evidence.filter((item) => item.kind === kind);
  if (kind === 'human_request') {
    const valid = ofKind.filter(
      (item) => item.by !== null && !(item.state === at.state && item.stay !== at.stay),
    );
    return new Set(valid.map((item) => item.by)).size;
  }
  return distinct ? new Set(ofKind.map((item) => item.by ?? item.id)).size : ofKind.length;
}

function combine(guards: readonly Guard[], at: GuardContext, decisive: 'pass' | 'fail'): Evaluation {
  if (guards.length === 0) return { verdict: 'error', reason: 'an empty list of guards', reads: [] };
  const all = guards.map((guard) => evaluate(guard, at));
  const reads = all.flatMap((one) => one.reads);
  const decided = all.find((one) => one.verdict === decisive) ?? all.find((one) => one.verdict === 'error');
  if (decided !== undefined) return { verdict: decided.verdict, reason: decided.reason, reads };
  return decisive === 'fail'
    ? { verdict: 'pass', reason: 'all of the guards pass', reads }
    : {
        verdict: 'fail',
        reason: `none of the guards passes: ${all.map((one) => one.reason).join('; ')}`,
        reads,
      };
}

function negate(inner: Evaluation): Evaluation {
  if (inner.verdict === 'error') return inner;
  return {
    verdict: inner.verdict === 'pass' ? 'fail' : 'pass',
    reason: `not: ${inner.reason}`,
    reads: inner.reads,
  };
}

/** Does the guard read what only a submit brings? Then a link cannot promise it. */
export function readsArguments(guard: Guard): boolean {
  return tooLarge(guard) || readsBelow(guard);
}

function readsBelow(guard: Guard): boolean {
  switch (guard.kind) {
    case 'expr':
      return [guard.expr.left, guard.expr.right].some(
        (side) => side.kind === 'path' && side.scope === 'arguments',
      );
    case 'allOf':
    case 'anyOf':
      return guard.guards.some(readsBelow);
    case 'not':
      return readsBelow(guard.guard);
    default:
      return false;
  }
}

/** What a guard could still say, whatever the caller and the arguments are. */
export function possible(guard: Guard, at: GuardContext): Possible {
  return tooLarge(guard) ? { pass: false, fail: false } : possibleBelow(guard, at);
}

interface Possible {
  readonly pass: boolean;
  readonly fail: boolean;
}

function possibleBelow(guard: Guard, at: GuardContext): Possible {
  switch (guard.kind) {
    case 'permission':
    case 'role':
      return { pass: true, fail: true };
    case 'allOf': {
      const all = guard.guards.map((one) => possibleBelow(one, at));
      return { pass: all.every((one) => one.pass), fail: all.some((one) => one.fail) };
    }
    case 'anyOf': {
      const all = guard.guards.map((one) => possibleBelow(one, at));
      return { pass: all.some((one) => one.pass), fail: all.every((one) => one.fail) };
    }
    case 'not': {
      const inner = possibleBelow(guard.guard, at);
      return { pass: inner.fail, fail: inner.pass };
    }
    default: {
      if (readsBelow(guard)) return { pass: true, fail: true };
      const { verdict } = evaluate(guard, at);
      return { pass: verdict === 'pass', fail: verdict === 'fail' };
    }
  }
}
