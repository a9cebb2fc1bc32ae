import { verifyChain } from '../src/audit/index.js';
import type { Pool } from '../src/db/index.js';
import { recordsOf, type Decided, type Recorded } from './judge.js';
import type { Effect } from './target.js';

// Reads everything that the store, the record and the target say about a run, with all of its approvals.

export interface WholeRun {
  readonly run: string;
  readonly status: string;
  /** The code of its problem. */
  readonly problem: string | null;
  /** Each approval with the status of its action. */
  readonly approvals: readonly { readonly id: string; readonly status: string; readonly action: string }[];
  readonly actions: readonly { readonly id: string; readonly status: string }[];
  readonly decisions: readonly (Decided & { readonly approval: string })[];
  /** Messages that nobody has answered. */
  readonly unanswered: number;
  readonly records: readonly Recorded[];
  readonly effects: readonly Effect[];
  /** Null: the chain verifies. */
  readonly chainProblem: string | null;
}

/** `effects`: those of this run. */
export async function findWholeRun(
  pool: Pool,
  run: string,
  effects: readonly Effect[],
): Promise<WholeRun | null> {
  const { rows } = await pool.query<Pick<WholeRun, 'status' | 'problem' | 'unanswered'>>(
    `select status, problem->>'code' as problem,
            (select count(*)::int from message where run = $1 and answer is null and withdrawn_at is null and kind <> 'start') as unanswered
       from run where id = $1`,
    [run],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const approvals = await pool.query<WholeRun['approvals'][number]>(
    `select approval.id, approval.status, action.status as action
       from approval join action on action.id = approval.action where approval.run = $1`,
    [run],
  );
  const actions = await pool.query<WholeRun['actions'][number]>(
    'select id, status from action where run = $1',
    [run],
  );
  const decisions = await pool.query<WholeRun['decisions'][number]>(
    'select by_id as by, approval, decision, status, code from decision where run = $1',
    [run],
  );
  const chain = await verifyChain(pool, run);
  const records = await recordsOf(pool, [run]);
  return {
    run,
    ...row,
    approvals: approvals.rows,
    actions: actions.rows,
    decisions: decisions.rows,
    records: records.get(run) ?? [],
    effects,
    chainProblem: chain.ok ? null : (chain.problem ?? 'the chain does not verify'),
  };
}

/** Waits until each of these runs has answered its messages and has nothing under way, or the time is over. */
export async function settleRuns(pool: Pool, runs: readonly string[], limitMs: number): Promise<void> {
  const end = Date.now() + limitMs;
  for (;;) {
    const { rows } = await pool.query<{ busy: number }>(
      `select count(*)::int as busy from run where id = any($1) and (executing is not null
         or exists (select 1 from message where message.run = run.id and answer is null and withdrawn_at is null and kind <> 'start')
         or exists (select 1 from action where action.run = run.id and action.status in ('approved', 'executing')))`,
      [runs],
    );
    if ((rows[0]?.busy ?? 0) === 0 || Date.now() > end) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
