import { stricterThanAll } from '../../../engine/gates/covers.js';
import type { Gate, GateTimeout } from '../../../engine/plan.js';
import { canonical } from '../../../model/values/canonical.js';
import type { Json } from '../../../model/values/json.js';
import { effectOf, itemsNotIn, type Note } from './weigh.js';
import { gateText } from './words.js';

// How the approvals that a flow asks for have changed: who decides, and where time decides instead.

/** A queue is compared by its name: no version of a flow says who is in it. */
const byName = { queueRoles: (queue: string): readonly string[] => [`queue:${queue}`] };

export function gateChange(key: string, before: readonly Gate[], after: readonly Gate[], note: Note): void {
  if (rulesText(before) === rulesText(after)) return;
  if (after.length === 0) return note('wider', `${key} no longer waits for an approval`, 9);
  if (before.length === 0) return note('narrower', `${key} now waits: ${gateText(after)}`, 9);
  const effect = effectOf(asksLess(before, after), asksLess(after, before));
  note(effect, `the approval of ${key} changed: ${gateText(before)} became ${gateText(after)}`, 7);
}

/** The gates without why they are there and where they are written. */
function rulesText(gates: readonly Gate[]): string {
  return canonical(gates.map(({ because: _because, origin: _origin, ...rule }) => rule) as unknown as Json);
}

function asksLess(before: readonly Gate[], after: readonly Gate[]): boolean {
  const asksAlways = (gates: readonly Gate[]): boolean => gates.some(({ on }) => on === null);
  return (
    someStricter(before, after) ||
    (asksAlways(before) && !asksAlways(after)) ||
    timeGivesMore(before, after) ||
    itemsNotIn(endsOf(before), endsOf(after)).length > 0
  );
}

/**
 * Each changed gate is compared with all gates of the other version; with more pairs than this, both versions count as
 * stricter.
 */
const mostPairs = 2_500;

function someStricter(now: readonly Gate[], then: readonly Gate[]): boolean {
  if (then.length === 0) return now.length > 0;
  const kept = new Set(then.map(textOf));
  const others = now.filter((gate) => !kept.has(textOf(gate)));
  return others.length * then.length > mostPairs || stricterThanAll(others, then, byName).length > 0;
}

function textOf(gate: Gate): string {
  return canonical(gate as unknown as Json);
}

/** Time now approves where it did not, or sooner; or it opens a gate to more roles, or sooner. */
function timeGivesMore(before: readonly Gate[], after: readonly Gate[]): boolean {
  const [old, now] = [before, after].map((gates) => gates.map(({ timeout }) => timeLine(timeout)));
  const approvals = (lines: readonly TimeLine[] = []): number[] =>
    lines.map(({ approvedMs }) => approvedMs).sort((a, b) => a - b);
  const [was, is] = [approvals(old), approvals(now)];
  if (is.some((ms, index) => ms < (was[index] ?? Infinity))) return true;
  const opened = firstOpened(old);
  return [...firstOpened(now)].some(([role, ms]) => ms < (opened.get(role) ?? Infinity));
}

/** For each role, after how many milliseconds time first opens a gate to it. */
function firstOpened(lines: readonly TimeLine[] = []): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const { opensMs } of lines)
    for (const [role, ms] of opensMs) first.set(role, Math.min(ms, first.get(role) ?? Infinity));
  return first;
}

interface TimeLine {
  /** Infinity: never. */
  readonly approvedMs: number;
  readonly opensMs: ReadonlyMap<string, number>;
}

function timeLine(timeout: GateTimeout | null): TimeLine {
  const opensMs = new Map<string, number>();
  let ms = 0;
  for (let stage = timeout ?? undefined; stage !== undefined; stage = stage.then) {
    ms += stage.afterMs;
    if (stage.action === 'approve') return { approvedMs: ms, opensMs };
    for (const role of stage.action === 'escalate' ? stage.to : [])
      if (!opensMs.has(role)) opensMs.set(role, ms);
  }
  return { approvedMs: Infinity, opensMs };
}

function endsOf(gates: readonly Gate[]): readonly string[] {
  return gates.flatMap(({ expiresWith = [] }) => expiresWith.map((path) => path.text));
}
