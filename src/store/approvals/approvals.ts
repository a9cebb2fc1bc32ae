import type { ApprovalDoc, ApprovalState, ApprovalStatus } from '../../engine/state.js';
import { write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';
import { truncate } from '../../model/values/text.js';

export interface NewApproval {
  readonly id: string;
  readonly run: string;
  readonly action: string;
  readonly flow: string;
  readonly environment: string;
  readonly transition: string;
  readonly status: ApprovalStatus;
  readonly roles: readonly string[];
  /** Holders of `approval.decide` may decide at one of its gates. In the column of roles the empty name stands for this. */
  readonly byPermission: boolean;
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly expiresAt: string | null;
  readonly digest: string;
  readonly doc: ApprovalDoc;
  /** The approval's part of its run's document while it waits, without callers' values; null: it has ended, or the row is older than this column. */
  readonly state: ApprovalState | null;
  readonly updatedAt: string;
}

export interface ApprovalRow extends Omit<NewApproval, 'byPermission'> {
  readonly risk: number;
  readonly escalatedAt: string | null;
  /** When it was first neither open nor escalated; null: it still waits. */
  readonly closedAt: string | null;
}

export const approvalColumns = `a.id, a.run, a.action, a.flow, a.environment, a.transition, a.status, array_remove(a.roles, '') as roles, a.requested_by as "requestedBy",
  a.requested_at as "requestedAt", a.expires_at as "expiresAt", a.digest, a.doc, a.updated_at as "updatedAt",
  case when a.state_at = a.updated_at then a.state end as state,
  a.risk, a.escalated_at as "escalatedAt", a.closed_at as "closedAt"`;

/** Writes an approval. What was asked is fixed when it opens; status, roles and deadline change until it has ended. */
export async function upsertApproval(tx: Tx, approval: NewApproval): Promise<void> {
  await write(
    tx,
    `insert into approval (id, run, action, flow, environment, transition, status, roles, requested_by, requested_at, expires_at, digest, doc, updated_at,
       tool, tier, risk, search, escalated_at, closed_at, outcome, state, state_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $14)
     on conflict (id) do update set status = excluded.status, roles = excluded.roles, expires_at = excluded.expires_at, updated_at = excluded.updated_at,
       escalated_at = coalesce(approval.escalated_at, excluded.escalated_at), closed_at = coalesce(approval.closed_at, excluded.closed_at),
       outcome = coalesce(approval.outcome, excluded.outcome), state = excluded.state, state_at = excluded.state_at`,
    [
      approval.id,
      approval.run,
      approval.action,
      approval.flow,
      approval.environment,
      approval.transition,
      approval.status,
      approval.byPermission && approval.roles.length > 0 ? [...approval.roles, ''] : approval.roles,
      approval.requestedBy,
      approval.requestedAt,
      approval.expiresAt,
      approval.digest,
      JSON.stringify(approval.doc),
      approval.updatedAt,
      ...derivedColumns(approval),
      approval.state === null ? null : JSON.stringify(approval.state),
    ],
  );
}

const outcomes: Readonly<Record<ApprovalStatus, string | null>> = {
  open: null,
  escalated: null,
  approved: 'approved',
  consumed: 'approved',
  denied: 'denied',
  expired: 'expired',
  revoked: 'revoked',
};
const longestSearch = 8_000;

/** The columns by which an approval is found, ordered and measured. */
function derivedColumns({ doc, status, transition, flow, updatedAt }: NewApproval): readonly unknown[] {
  const { tool = null, tier = null, summary = '' } = doc as Partial<ApprovalDoc>;
  const outcome = outcomes[status];
  const search = `${summary} ${tool ?? ''} ${transition} ${flow}`.toLowerCase();
  return [
    tool === null ? null : withoutNul(tool),
    tier,
    riskOf(tier),
    withoutNul(truncate(search, longestSearch, '')),
    status === 'escalated' ? updatedAt : null,
    outcome === null ? null : updatedAt,
    outcome,
  ];
}

/** An action without a tier counts as the worst. */
function riskOf(tier: string | null): number {
  if (tier === 'read_only') return 1;
  return tier === 'reversible' ? 2 : 3;
}

export async function getApproval(q: Queryable, id: string): Promise<ApprovalRow | null> {
  const { rows } = await q.query<ApprovalRow>(`select ${approvalColumns} from approval a where a.id = $1`, [
    withoutNul(id),
  ]);
  return rows[0] ?? null;
}

/** How an approval stands, without the action that it asks for. */
export async function getApprovalStatus(
  q: Queryable,
  id: string,
): Promise<Pick<ApprovalRow, 'run' | 'status'> | null> {
  const { rows } = await q.query<Pick<ApprovalRow, 'run' | 'status'>>(
    'select run, status from approval where id = $1',
    [withoutNul(id)],
  );
  return rows[0] ?? null;
}

export type ListedApproval = Pick<ApprovalRow, 'id' | 'transition' | 'status' | 'roles'>;

/** All open approvals of a run and its newest `most`, in the order of their requests. Without the actions, which may be large. */
export async function approvalsOfRun(q: Queryable, run: string, most: number): Promise<ListedApproval[]> {
  const { rows } = await q.query<ListedApproval>(
    `select id, transition, status, array_remove(roles, '') as roles from (
       (select id, transition, status, roles, requested_at from approval where run = $1 order by requested_at desc, id desc limit $2)
       union
       (select id, transition, status, roles, requested_at from approval where run = $1 and closed_at is null)
     ) a order by requested_at, id`,
    [run, most],
  );
  return rows;
}

/** The run's newest approval with this digest. */
export async function approvalWithDigest(
  q: Queryable,
  run: string,
  digest: string,
): Promise<ApprovalRow | null> {
  const { rows } = await q.query<ApprovalRow>(
    `select ${approvalColumns} from approval a where a.run = $1 and a.digest = $2 order by a.requested_at desc, a.id desc limit 1`,
    [run, withoutNul(digest)],
  );
  return rows[0] ?? null;
}

export async function countApprovals(
  q: Queryable,
): Promise<{ environment: string; status: string; count: number }[]> {
  const { rows } = await q.query<{ environment: string; status: string; count: number }>(
    'select environment, status, count(*) as count from approval group by 1, 2',
  );
  return rows;
}
