import type { Json } from '../../model/values/json.js';
import type { Gate, GateTimeout, Path, Tier } from '../plan.js';
import type { GateState, Kit } from '../state.js';
import type { AskingGate } from './gates.js';
import type { GuardContext } from '../guards.js';
import { jsonBeginning } from './shown.js';
import { readPath, type PathScopes } from '../expression/template.js';
import { readTime } from '../expression/time.js';

// When a gate's time is up, stage by stage. Times are epoch milliseconds.

/** The stage that is current after so many escalations. Null: none is declared; then the environment's default time applies, and its end denies. */
export function stageOf(gate: Gate, escalations: number): GateTimeout | null {
  let stage = gate.timeout;
  for (let left = escalations; left > 0 && stage !== null; left -= 1) {
    if (stage.then === undefined) return endsAtTimeOnly(stage) ? null : repeatedStage(stage);
    stage = stage.then;
  }
  return stage;
}

/** `afterMs` in the plan of a stage that is written with `at` alone. Such a stage is not repeated after an escalation: its moment has passed. */
export const noTimeMs = 366 * 86_400_000;

function endsAtTimeOnly({ afterMs, atMs }: GateTimeout): boolean {
  return atMs !== undefined && afterMs >= noTimeMs;
}

/** The stage after an escalation that names none: the same time again. */
function repeatedStage(stage: GateTimeout): GateTimeout {
  const { afterMs, hours } = stage;
  return { afterMs, action: 'deny', to: [], ...(hours === undefined ? {} : { hours }) };
}

const longestMs = 3_660 * 86_400_000;

/** `at`, but not before `from` and not too long after it; `from`, where `at` is no time. */
function boundTime(from: number, at: number): number {
  return at >= from ? Math.min(at, from + longestMs) : from;
}

export interface StageTimes {
  readonly expiresAt: number;
  readonly reminders: readonly number[];
}

/** When the stage that begins at `from` ends, and when its approvers are reminded. */
export function stageTimes(
  gate: Gate,
  stage: GateTimeout | null,
  kit: Pick<Kit, 'gateTimeoutMs' | 'businessEnd'>,
  from: number,
  roles: readonly string[],
  endsAt: number | undefined,
): StageTimes {
  const after = (ms: number): number =>
    stage?.hours === 'business' ? kit.businessEnd(from, ms, roles) : from + ms;
  const afterMs = stage?.afterMs ?? kit.gateTimeoutMs;
  const expiresAt = boundTime(from, Math.min(after(afterMs), stage?.atMs ?? Infinity, endsAt ?? Infinity));
  const spent = Math.min(afterMs, expiresAt - from);
  const reminders = (gate.reminders ?? []).map((fraction) => Math.floor(after(spent * fraction)));
  return { expiresAt, reminders: reminders.filter((at) => at > from && at < expiresAt) };
}

export type End =
  | { readonly status: 'none' }
  | { readonly status: 'at'; readonly at: number }
  | { readonly status: 'unreadable'; readonly path: Path; readonly message: string };

/** The earliest of the times with which the approval ends. Where one of them cannot be read, there is no end to rely on. */
export function endOf({ expiresWith = [] }: Pick<Gate, 'expiresWith'>, scopes: PathScopes): End {
  const ends: number[] = [];
  for (const path of expiresWith) {
    const read = readPath(scopes, path);
    const value = read.found ? read.value : null;
    const at = readTime(value);
    if (at === null) return { status: 'unreadable', path, message: unreadableText(path, value) };
    ends.push(at);
  }
  return ends.length === 0 ? { status: 'none' } : { status: 'at', at: Math.min(...ends) };
}

const longestValue = 60;

function unreadableText({ text }: Path, value: Json): string {
  return `the approval would end with \`${text}\`, and \`${jsonBeginning(value, longestValue)}\` is no time with a zone: write it as \`2026-12-24T18:00:00+01:00\``;
}

export const denyingEnd: Pick<GateTimeout, 'action' | 'to'> = { action: 'deny', to: [] };

/** What happens when the present stage of a gate ends. Time approves only reversible actions, and only before the end of the approval. */
export function endingOfStage(
  { rule, stage: escalations = 0, expiresAt, endsAt }: GateState,
  tier: Tier | null,
): Pick<GateTimeout, 'action' | 'to'> {
  if (endsAt !== undefined && expiresAt >= endsAt) return denyingEnd;
  const stage = stageOf(rule, escalations) ?? denyingEnd;
  if (stage.action === 'escalate') return stage;
  return stage.action === 'approve' && tier === 'reversible' ? stage : denyingEnd;
}

/** Which gate has an end that cannot be read, and why; null: all ends can be read. */
export function unreadableEnd(gates: readonly AskingGate[], at: GuardContext): string | null {
  for (const { rule } of gates) {
    const end = endOf(rule, at);
    if (end.status === 'unreadable') return end.message;
  }
  return null;
}
