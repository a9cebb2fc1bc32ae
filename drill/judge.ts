import { verifyChain } from '../src/audit/index.js';
import type { Pool } from '../src/db/index.js';
import { isFinal, isTaken, type Reply } from './caller.js';
import type { Effect } from './target.js';

// Reads what the store, the record and the target say about a run, and judges it. `judgeRun` is pure.

/** What people were asked to do with an approval. */
export interface DecisionPlan {
  readonly run: string;
  readonly approval: string;
  readonly decision: 'approve' | 'deny';
  /** How many distinct people decide so. */
  readonly people: number;
}

/** What somebody who decided was told in the end, after all repeats. */
export interface Told {
  readonly run: string;
  readonly by: string;
  readonly reply: Reply;
}

export interface Decided {
  readonly by: string;
  readonly decision: string;
  readonly status: string;
  readonly code: string | null;
  /** When it was made, as the store has it: milliseconds since 1970. */
  readonly at?: number;
}

export interface Recorded {
  readonly type: string;
  readonly actor: string;
  readonly decision: string | null;
  readonly at: number;
  /** What gave the actor the right to it, such as `role:finance.controller`. */
  readonly permission?: string | null;
}

export interface FoundRun {
  readonly run: string;
  readonly approvalStatus: string;
  readonly actionStatus: string;
  readonly decisions: readonly Decided[];
  /** The records of the run's chain, in order. */
  readonly records: readonly Recorded[];
  /** The status of each other approval of the run, and of its action. */
  readonly others: readonly { approval: string; action: string }[];
  readonly effects: readonly Effect[];
  /** Null: the chain verifies. */
  readonly chainProblem: string | null;
}

export type Fault =
  | 'lost'
  | 'executedWithoutApproval'
  | 'twice'
  | 'refusedAndApplied'
  | 'neverAnswered'
  | 'chainBroken'
  | 'notEnded';
export const faults: readonly Fault[] = [
  'lost',
  'executedWithoutApproval',
  'twice',
  'refusedAndApplied',
  'neverAnswered',
  'chainBroken',
  'notEnded',
];

const wanted = {
  approve: { approval: 'consumed', action: 'executed' },
  deny: { approval: 'denied', action: 'denied' },
};

/** Finds all faults of a run; the drill is to show that there are none. */
export function judgeRun(plan: DecisionPlan, found: FoundRun, told: readonly Told[]): readonly Fault[] {
  const succeeded = found.records.filter((record) => record.type === 'executor.succeeded').length;
  const applied = found.decisions.filter((decision) => decision.status === 'applied');
  const want = wanted[plan.decision];
  const lost =
    applied.length < plan.people ||
    found.actionStatus !== want.action ||
    (plan.decision === 'approve' && (found.effects.length === 0 || succeeded === 0));
  const has: Record<Fault, boolean> = {
    lost,
    executedWithoutApproval:
      (found.effects.length > 0 || succeeded > 0) &&
      (plan.decision === 'deny' || countApproversBefore(found) < plan.people),
    twice: found.effects.length > 1 || succeeded > 1,
    refusedAndApplied: told.some(
      ({ by, reply }) => isFinal(reply) && !isTaken(reply) && applied.some((decision) => decision.by === by),
    ),
    neverAnswered: told.some(({ reply }) => !isFinal(reply)),
    chainBroken: found.chainProblem !== null,
    notEnded: found.approvalStatus !== want.approval,
  };
  return faults.filter((fault) => has[fault]);
}

/** Counts the distinct people whose approval is in the record before the first execution. */
function countApproversBefore({ records }: FoundRun): number {
  const start = records.findIndex((record) => record.type === 'executor.started');
  const before = start < 0 ? records : records.slice(0, start);
  const approvals = before.filter(
    ({ type, decision }) => type === 'approval.decided' && decision === 'approve',
  );
  return new Set(approvals.map((approval) => approval.actor)).size;
}

interface RecordRow {
  readonly chain: string;
  readonly type: string;
  readonly body: string;
}

interface AskedApproval {
  readonly run: string;
  readonly approval: string;
}

const pageSize = 100;

/** Reads everything about these runs, as it is now. */
export async function findRuns(
  pool: Pool,
  approvals: readonly AskedApproval[],
  effects: readonly Effect[],
): Promise<Map<string, FoundRun>> {
  const found = new Map<string, FoundRun>();
  for (let at = 0; at < approvals.length; at += pageSize)
    for (const run of await findPage(pool, approvals.slice(at, at + pageSize), effects))
      found.set(run.run, run);
  return found;
}

async function findPage(
  pool: Pool,
  approvals: readonly AskedApproval[],
  effects: readonly Effect[],
): Promise<FoundRun[]> {
  const runs = approvals.map((approval) => approval.run);
  const { rows: statuses } = await pool.query<{ run: string; approval: string; action: string }>(
    `select approval.run, approval.status as approval, action.status as action
       from approval join action on action.id = approval.action where approval.id = any($1)`,
    [approvals.map((approval) => approval.approval)],
  );
  const { rows: others } = await pool.query<FoundRun['others'][number] & { run: string }>(
    `select approval.run, approval.status as approval, action.status as action
       from approval join action on action.id = approval.action
      where approval.run = any($1) and not approval.id = any($2)`,
    [runs, approvals.map((approval) => approval.approval)],
  );
  const { rows: decisions } = await pool.query<FoundRun['decisions'][number] & { run: string }>(
    `select run, by_id as by, decision, status, code, (extract(epoch from at) * 1000)::float8 as at
       from decision where run = any($1) order by decision.at`,
    [runs],
  );
  const records = await recordsOf(pool, runs);
  const found: FoundRun[] = [];
  for (const { run, approval, action } of statuses) {
    const chain = await verifyChain(pool, run);
    found.push({
      run,
      approvalStatus: approval,
      actionStatus: action,
      decisions: decisions.filter((decision) => decision.run === run),
      records: records.get(run) ?? [],
      others: others.filter((other) => other.run === run),
      effects: effects.filter((effect) => effect.run === run),
      chainProblem: chain.ok ? null : (chain.problem ?? 'the chain does not verify'),
    });
  }
  return found;
}

/** Each run's chain, in its order. */
export async function recordsOf(pool: Pool, runs: readonly string[]): Promise<Map<string, Recorded[]>> {
  const { rows } = await pool.query<RecordRow>(
    `select chain, type, convert_from(body, 'utf8') as body from audit_record where chain = any($1) order by chain, runseq`,
    [runs],
  );
  const found = new Map<string, Recorded[]>();
  for (const row of rows) {
    const records = found.get(row.chain);
    if (records === undefined) found.set(row.chain, [recordOf(row)]);
    else records.push(recordOf(row));
  }
  return found;
}

function recordOf({ type, body }: RecordRow): FoundRun['records'][number] {
  const envelope = JSON.parse(body) as {
    actor: { id: string };
    recordedtime: string;
    permission?: string;
    data: { decision?: string };
  };
  return {
    type,
    actor: envelope.actor.id,
    decision: envelope.data.decision ?? null,
    at: Date.parse(envelope.recordedtime),
    permission: envelope.permission ?? null,
  };
}

/** Counts the open ones of these approvals. */
export async function countOpen(pool: Pool, approvals: readonly string[]): Promise<number> {
  const { rows } = await pool.query<{ open: number }>(
    `select count(*)::int as open from approval where id = any($1) and status = 'open'`,
    [approvals],
  );
  return rows[0]?.open ?? 0;
}

/** Waits until none of these approvals is open and none of their actions is under way. Gives how many still are at the limit. */
export async function settle(pool: Pool, approvals: readonly string[], limitMs: number): Promise<number> {
  const end = Date.now() + limitMs;
  for (;;) {
    const { rows } = await pool.query<{ open: number }>(
      `select count(*)::int as open from approval join action on action.id = approval.action
        where approval.id = any($1) and (approval.status in ('open', 'escalated')
          or action.status in ('pending', 'approved', 'executing'))`,
      [approvals],
    );
    const open = rows[0]?.open ?? 0;
    if (open === 0 || Date.now() > end) return open;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
