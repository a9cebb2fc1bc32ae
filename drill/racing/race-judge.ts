import type { FoundRun } from '../judge.js';
import type { Finisher, Ran } from './race.js';

// Judges a race. It must have one outcome and at most one effect, everybody must have been told the truth, and the record must
// agree. Pure, so that the tests can give it a bad race.

type RaceOutcome = 'executed' | 'denied' | 'expired' | 'cancelled' | 'stopped';

export type RaceFault =
  | 'noSingleOutcome'
  | 'effectsDisagree'
  | 'recordDisagrees'
  | 'wrongWinner'
  | 'wrongDecider'
  | 'loserNotTold'
  | 'chainBroken';
export const raceFaults: readonly RaceFault[] = [
  'noSingleOutcome',
  'effectsDisagree',
  'recordDisagrees',
  'wrongWinner',
  'wrongDecider',
  'loserNotTold',
  'chainBroken',
];

export interface RaceVerdict {
  readonly outcome: string | null;
  readonly faults: readonly RaceFault[];
  /** The status and code of each refusal, such as `409 ALREADY_DECIDED`. */
  readonly refused: readonly string[];
}

const outcomes: Readonly<Record<string, RaceOutcome>> = {
  'consumed executed': 'executed',
  'denied denied': 'denied',
  'expired expired': 'expired',
  'revoked revoked': 'cancelled',
  // Approved, and cancelled before anything was executed.
  'approved revoked': 'cancelled',
};

/** The action was to be executed, and no call was made: no start in the record, no effect. */
const uncalled = ['approved failed', 'consumed failed'];

/**
 * The outcome of a race. If an approved action was not called, either the run was cancelled, or somebody who had approved lost the
 * role before the call.
 */
function raceOutcomeOf(
  { finishers }: Ran,
  { approvalStatus, actionStatus, records }: FoundRun,
): RaceOutcome | null {
  const status = `${approvalStatus} ${actionStatus}`;
  if (!uncalled.includes(status)) return outcomes[status] ?? null;
  if (records.some((record) => record.type === 'run.cancelled')) return 'cancelled';
  return finishers.some((finisher) => finisher.losesRole === true) ? 'stopped' : null;
}

const losersCodes = ['ALREADY_DECIDED', 'APPROVAL_REVOKED', 'APPROVAL_EXPIRED', 'RUN_CLOSED'];

export function judgeRace(ran: Ran, found: FoundRun): RaceVerdict {
  const { kind, finishers } = ran;
  const outcome = raceOutcomeOf(ran, found);
  const count = (type: string, decision?: string): number =>
    found.records.filter(
      (record) => record.type === type && (decision === undefined || record.decision === decision),
    ).length;
  const approvals = count('approval.decided', 'approve');
  const denials = count('approval.decided', 'deny');
  const executed = outcome === 'executed' ? 1 : 0;
  const isToldWhy = count('transition.rejected') + count('executor.failed') === 1;
  const agrees =
    count('executor.succeeded') === executed &&
    count('executor.started') === executed &&
    denials === (outcome === 'denied' ? 1 : 0) &&
    count('approval.expired') === (outcome === 'expired' ? 1 : 0) &&
    (outcome !== 'executed' || isEnough(ran, approvals)) &&
    (outcome !== 'stopped' || (approvals === kind.quorum && isToldWhy)) &&
    (outcome === 'executed' || outcome === 'stopped' || outcome === 'cancelled' || approvals < kind.quorum) &&
    (outcome !== 'cancelled' || count('run.cancelled') === 1);
  const has: Record<RaceFault, boolean> = {
    noSingleOutcome: outcome === null,
    effectsDisagree: found.effects.length !== executed,
    recordDisagrees: !agrees,
    wrongWinner: !winnersAgree(found, approvals, denials),
    wrongDecider: !decidersAgree(ran, found),
    loserNotTold: finishers.some((finisher) => !isTold(finisher, found)),
    chainBroken: found.chainProblem !== null,
  };
  return {
    outcome,
    faults: raceFaults.filter((fault) => has[fault]),
    refused: finishers
      .filter(({ told }) => told.reply.status >= 400)
      .map(({ told }) => `${told.reply.status} ${told.reply.code ?? ''}`),
  };
}

/** Beside enough people who keep the role, somebody who has lost it may have approved. */
function isEnough({ kind, finishers }: Ran, approvals: number): boolean {
  const leaving = finishers.filter((finisher) => finisher.losesRole === true).length;
  return approvals >= kind.quorum && approvals <= kind.quorum + leaving;
}

/**
 * Judges a race with a reload that takes a role away. Whoever loses the role has either not decided, or has decided under that
 * role before the reload was answered. Nobody was refused for lack of the role before the reload was sent. What was executed had
 * enough people who could decide at that time.
 */
function decidersAgree({ kind, finishers }: Ran, { decisions, records }: FoundRun): boolean {
  const leaver = finishers.find((finisher) => finisher.losesRole === true);
  const narrowing = finishers.find((finisher) => finisher.act === 'narrow')?.told;
  if (leaver === undefined || narrowing === undefined) return true;
  const { told, by } = leaver;
  const own = decisions.filter((decision) => decision.by === by.id && decision.status === 'applied');
  const start = records.findIndex((record) => record.type === 'executor.started');
  const approvals = records.filter(
    (record) => record.type === 'approval.decided' && record.decision === 'approve',
  );
  const before = approvals.filter((approval) => start >= 0 && records.indexOf(approval) < start);
  const staying = new Set(
    before.filter((approval) => approval.actor !== by.id).map((approval) => approval.actor),
  );
  return (
    own.every(({ at = Infinity }) => at <= narrowing.answeredAt) &&
    (own.length === 0) === !approvals.some((approval) => approval.actor === by.id) &&
    approvals.every((approval) => approval.actor !== by.id || approval.permission === 'role:finance.clerk') &&
    (told.reply.status < 400 || own.length === 0) &&
    (!notAsked.includes(told.reply.code ?? '') || told.answeredAt >= narrowing.sentAt) &&
    // What was approved after the reload, and so executed after it, needs enough people who keep the role.
    (start < 0 || staying.size >= kind.quorum || before.every(({ at }) => at <= narrowing.answeredAt))
  );
}

/**
 * A decision about somebody's request never covers the same request by somebody else. The other gets an approval of their own,
 * which ends with the run, or a refusal that says that the run executes or has ended.
 */
function isAsked(status: number, code: string | null, others: FoundRun['others']): boolean {
  if (status === 409) return code === 'RUN_CLOSED' || code === 'RUN_BUSY';
  return (
    status === 202 && others.every((other) => other.approval === 'revoked' && other.action === 'revoked')
  );
}

/** Longest time between the time of a record and the end of its transaction. */
const writeMs = 1_000;

/** The codes for somebody whom a gate does not ask, depending on whether they may see its approval. */
const notAsked = ['NOT_AN_APPROVER', 'NOT_FOUND'];

/** Whether a refusal for lack of a role came too late: people whom an escalation adds may be refused only before it. */
function isLateToSaySo(sentAt: number, records: FoundRun['records']): boolean {
  const escalated = records.find((record) => record.type === 'approval.escalated');
  return escalated !== undefined && sentAt > escalated.at + writeMs;
}

/** The decisions that the store calls applied are those of the record, and no decision is still waiting. */
function winnersAgree({ decisions }: FoundRun, approvals: number, denials: number): boolean {
  const applied = (decision: string): number =>
    decisions.filter((made) => made.decision === decision && made.status === 'applied').length;
  const hanging = decisions.some((decision) => decision.status === 'accepted');
  return !hanging && applied('approve') === approvals && applied('deny') === denials;
}

/** Whoever was told of success has counted; whoever has not counted was refused with a code that says why. */
function isTold({ by, act, told }: Finisher, { records, decisions, others }: FoundRun): boolean {
  const { status, code } = told.reply;
  if (act === 'submit') return isAsked(status, code, others);
  if (act === 'narrow') return status === 200;
  if (status === 403 || status === 404)
    return notAsked.includes(code ?? '') && !isLateToSaySo(told.sentAt, records);
  if (status === 409 || status === 410) return losersCodes.includes(code ?? '');
  if (act === 'cancel') return status === 200 || status === 202;
  const own = decisions.filter((decision) => decision.by === by.id && decision.decision === act);
  const counted = own.some((decision) => decision.status === 'applied');
  if (status === 200)
    return counted && records.some((record) => record.type === 'approval.decided' && record.actor === by.id);
  // The decision is durable: its own address says later that it was applied, or refused and why.
  return status === 202 && own.some((decision) => decision.status === 'applied' || decision.code !== null);
}
