import { openStatuses } from '../model/approval-status.js';
import type { Queryable } from '../db/index.js';
import { approvalColumns, type ApprovalRow } from './approvals.js';
import { decodeCursor, encodeCursor, isTime, type Page } from './cursor.js';
import { viewerValues, visibleRun, type Viewer } from './visibility.js';
import { findableOrNull } from './text.js';

export type InboxOrder = 'risk' | 'age';

export interface ApprovalFilter {
  readonly status?: string | undefined;
  readonly role?: string | undefined;
  readonly flow?: string | undefined;
  readonly environment?: string | undefined;
  readonly tool?: string | undefined;
  /** `none`: what has no tier. */
  readonly tier?: string | undefined;
  readonly transition?: string | undefined;
  readonly requestedBy?: string | undefined;
  readonly expiringBefore?: string | undefined;
  /** In the sentence, or in the names of tool, transition and flow. */
  readonly text?: string | undefined;
  /** Only open ones that this viewer's roles let it decide, and that it has not decided. */
  readonly mine?: boolean | undefined;
  /** Only those that the viewer has claimed, and still has. */
  readonly claimed?: boolean | undefined;
  /** Only those that were handed to the viewer. */
  readonly delegated?: boolean | undefined;
  /** `risk` unless said: the worst first, and of those the oldest. */
  readonly order?: InboxOrder | undefined;
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | null;
}

interface Position {
  readonly risk: number | null;
  readonly time: string | null;
  readonly id: string | null;
}

/** Neither risk, nor time of request, nor id ever changes: a page goes on exactly where the last one ended. */
const sorted = {
  risk: {
    by: 'a.risk desc, a.requested_at, a.id',
    after:
      '($1::smallint is null or a.risk < $1 or (a.risk = $1 and (a.requested_at, a.id) > ($2::timestamptz, $3::text)))',
  },
  age: {
    by: 'a.requested_at, a.id',
    after: '($1::smallint is null or (a.requested_at, a.id) > ($2::timestamptz, $3::text))',
  },
} as const satisfies Record<InboxOrder, { by: string; after: string }>;

/** Null: the cursor is not one of ours, or of the other order. */
export async function listApprovals(q: Queryable, filter: ApprovalFilter): Promise<Page<ApprovalRow> | null> {
  const order = filter.order ?? 'risk';
  const from = filter.cursor === null ? { risk: null, time: null, id: null } : position(filter.cursor, order);
  if (from === null) return null;
  const { rows } = await q.query<ApprovalRow>(
    `select ${approvalColumns} from approval a join run r on r.id = a.run
      where ${sorted[order].after} and ${visibleRun(4)} and ${matches}
      order by ${sorted[order].by} limit $21`,
    [from.risk, from.time, from.id, ...viewerValues(filter.viewer), ...matchValues(filter), filter.limit + 1],
  );
  const items = rows.slice(0, filter.limit);
  const last = items.at(-1);
  const more = rows.length > filter.limit && last !== undefined;
  return {
    items,
    nextCursor: more ? cursorAfter(last, order) : null,
  };
}

/** Where a page goes on that ends with this approval. */
export function cursorAfter(
  { risk, requestedAt, id }: Pick<ApprovalRow, 'risk' | 'requestedAt' | 'id'>,
  order: InboxOrder = 'risk',
): string {
  return encodeCursor([order, risk, requestedAt, id]);
}

const open = openStatuses.map((status) => `'${status}'`).join(', ');

/** Of the viewer, `visibleRun(4)` has made $5 its id, $6 its roles and $7 whether it decides what names none. */
const matches = `($8::text is null or a.status = $8 or ($8 = 'open' and a.status in (${open})))
  and ($9::text is null or $9 = any(a.roles)) and ($10::text is null or a.flow = $10) and ($11::text is null or a.environment = $11)
  and ($12::text is null or a.tool = $12) and ($13::text is null or coalesce(a.tier, 'none') = $13)
  and ($14::text is null or a.transition = $14) and ($15::text is null or a.requested_by = $15)
  and ($16::timestamptz is null or a.expires_at < $16) and ($17::text is null or position($17 in a.search) > 0)
  and (not $18::boolean or (a.status in (${open})
        and ((cardinality(a.roles) > 0 and a.roles && $6::text[]) or (cardinality(a.roles) = 0 and $7::boolean))
        and not exists (select 1 from decision m where m.approval = a.id and m.by_id = $5 and m.status <> 'refused')))
  and (not $19::boolean or exists (select 1 from approval_claim c where c.approval = a.id and c.principal = $5 and c.until > now()))
  and (not $20::boolean or exists (select 1 from approval_delegation d where d.approval = a.id and d.delegate = $5))`;

function matchValues(filter: ApprovalFilter): readonly unknown[] {
  return [
    findableOrNull(filter.status),
    findableOrNull(filter.role),
    findableOrNull(filter.flow),
    findableOrNull(filter.environment),
    findableOrNull(filter.tool),
    findableOrNull(filter.tier),
    findableOrNull(filter.transition),
    findableOrNull(filter.requestedBy),
    filter.expiringBefore ?? null,
    findableOrNull(filter.text?.toLowerCase()),
    filter.mine ?? false,
    filter.claimed ?? false,
    filter.delegated ?? false,
  ];
}

function position(cursor: string, order: InboxOrder): Position | null {
  const [of, risk, time, id] = decodeCursor(cursor, 4) ?? [];
  if (of !== order || typeof risk !== 'number' || typeof time !== 'string' || typeof id !== 'string')
    return null;
  return isTime(time) && risk >= 1 && risk <= 3 ? { risk, time, id } : null;
}
