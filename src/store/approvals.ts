import type { ApprovalDoc, ApprovalStatus } from '../engine/state.js';
import type { Queryable, Tx } from '../db/index.js';
import { decodeTimeCursor, page, type Page } from './cursor.js';
import { viewerValues, visibleRun, type Viewer } from './visibility.js';
import { findable, findableOrNull } from './text.js';

export interface ApprovalRow {
  readonly id: string;
  readonly run: string;
  readonly action: string;
  readonly flow: string;
  readonly environment: string;
  readonly transition: string;
  readonly status: ApprovalStatus;
  readonly roles: readonly string[];
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly expiresAt: string | null;
  readonly digest: string;
  readonly doc: ApprovalDoc;
  readonly updatedAt: string;
}

const columns = `a.id, a.run, a.action, a.flow, a.environment, a.transition, a.status, a.roles, a.requested_by as "requestedBy",
  a.requested_at as "requestedAt", a.expires_at as "expiresAt", a.digest, a.doc, a.updated_at as "updatedAt"`;

/** What was asked is fixed when it opens; status, roles and deadline move. */
export async function upsertApproval(tx: Tx, approval: ApprovalRow): Promise<void> {
  await tx.query(
    `insert into approval (id, run, action, flow, environment, transition, status, roles, requested_by, requested_at, expires_at, digest, doc, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
     on conflict (id) do update set status = excluded.status, roles = excluded.roles, expires_at = excluded.expires_at, updated_at = excluded.updated_at`,
    [
      approval.id,
      approval.run,
      approval.action,
      approval.flow,
      approval.environment,
      approval.transition,
      approval.status,
      approval.roles,
      approval.requestedBy,
      approval.requestedAt,
      approval.expiresAt,
      approval.digest,
      JSON.stringify(approval.doc),
      approval.updatedAt,
    ],
  );
}

export async function getApproval(q: Queryable, id: string): Promise<ApprovalRow | null> {
  const { rows } = await q.query<ApprovalRow>(`select ${columns} from approval a where a.id = $1`, [
    findable(id),
  ]);
  return rows[0] ?? null;
}

export async function approvalsOfRun(q: Queryable, run: string): Promise<ApprovalRow[]> {
  const { rows } = await q.query<ApprovalRow>(
    `select ${columns} from approval a where a.run = $1 order by a.requested_at, a.id`,
    [run],
  );
  return rows;
}

export interface ApprovalFilter {
  readonly status?: string | undefined;
  readonly role?: string | undefined;
  readonly flow?: string | undefined;
  /** Only open ones that this viewer's roles let it decide, and that it has not decided. */
  readonly mine?: boolean;
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | null;
}

/** Oldest first: who waits longest stands on top. Null: the cursor is not one of ours. */
export async function listApprovals(q: Queryable, filter: ApprovalFilter): Promise<Page<ApprovalRow> | null> {
  const after = filter.cursor === null ? [null, null] : decodeTimeCursor(filter.cursor);
  if (after === null) return null;
  const { rows } = await q.query<ApprovalRow>(
    `select ${columns} from approval a join run r on r.id = a.run
      where ($1::text is null or a.status = $1 or ($1 = 'open' and a.status = 'escalated')) and ($2::text is null or $2 = any(a.roles)) and ($3::text is null or a.flow = $3)
        and ($4::timestamptz is null or (a.requested_at, a.id) > ($4, $5))
        and ${visibleRun(6)}
        and (not $10::boolean or (a.status in ('open', 'escalated')
              and ((cardinality(a.roles) > 0 and a.roles && $8::text[]) or (cardinality(a.roles) = 0 and $9::boolean))
              and not exists (select 1 from decision m where m.approval = a.id and m.by_id = $7 and m.status <> 'refused')))
      order by a.requested_at, a.id limit $11`,
    [
      findableOrNull(filter.status),
      findableOrNull(filter.role),
      findableOrNull(filter.flow),
      after[0],
      after[1],
      ...viewerValues(filter.viewer),
      filter.mine ?? false,
      filter.limit + 1,
    ],
  );
  return page(rows, filter.limit, (row) => [row.requestedAt, row.id]);
}

export async function countApprovals(
  q: Queryable,
): Promise<{ environment: string; status: string; count: number }[]> {
  const { rows } = await q.query<{ environment: string; status: string; count: number }>(
    'select environment, status, count(*) as count from approval group by 1, 2',
  );
  return rows;
}
