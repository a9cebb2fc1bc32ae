import type { Gate, GateTimeout, Path } from './plan.js';
import type { ApprovalState, Kit } from './state.js';
import { readPath, type PathScopes } from './template.js';

// When an approval's time is up, stage by stage. Times are epoch milliseconds.

/** The stage after so many escalations; null: the environment's default time, and then it denies. */
export function stageOf(gate: Gate, escalations: number): GateTimeout | null {
  let stage = gate.timeout;
  for (let left = escalations; left > 0 && stage !== null; left -= 1) {
    if (stage.then === undefined) return last(stage);
    stage = stage.then;
  }
  return stage;
}

/** After an escalation that names no stage after it. */
function last(stage: GateTimeout): GateTimeout {
  const { afterMs, hours } = stage;
  return { afterMs, action: 'deny', to: [], ...(hours === undefined ? {} : { hours }) };
}

const longestMs = 3_660 * 86_400_000;

/** A time that is none, or has passed, is now. */
function bounded(from: number, at: number): number {
  return at >= from ? Math.min(at, from + longestMs) : from;
}

export interface StageTimes {
  readonly expiresAt: number;
  readonly reminders: readonly number[];
}

/** When the stage that begins now ends, and when its approvers are reminded. */
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
  const expiresAt = bounded(from, Math.min(after(afterMs), stage?.atMs ?? Infinity, endsAt ?? Infinity));
  const spent = Math.min(afterMs, expiresAt - from);
  const reminders = (gate.reminders ?? []).map((fraction) => Math.floor(after(spent * fraction)));
  return { expiresAt, reminders: reminders.filter((at) => at > from && at < expiresAt) };
}

const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** The earliest of the times that the approval ends with; one that cannot be read counts as the default time. */
export function endOf(
  { expiresWith = [] }: Gate,
  scopes: PathScopes,
  from: number,
  defaultMs: number,
): number | undefined {
  const ends = expiresWith.map((path) => timeAt(path, scopes) ?? from + defaultMs);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function timeAt(path: Path, scopes: PathScopes): number | null {
  const read = readPath(scopes, path);
  if (!read.found || typeof read.value !== 'string' || !dateTime.test(read.value)) return null;
  const time = Date.parse(read.value);
  return Number.isNaN(time) ? null : time;
}

/** Nobody's decision counts from then on; undefined: there is a stage after this one. */
export function lastMoment(approval: ApprovalState): number | undefined {
  const { endsAt, expiresAt, gate, stage } = approval;
  if (endsAt !== undefined && expiresAt >= endsAt) return endsAt;
  return stageOf(gate, stage ?? 0)?.action === 'escalate' ? undefined : expiresAt;
}
