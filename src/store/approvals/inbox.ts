import { openStatuses } from '../../model/approval-status.js';
import { mostAnswerBytes } from '../../model/limits.js';
import { makeValues, queryPlanned, type Queryable, type Values } from '../../db/index.js';
import { approvalColumns, type ApprovalRow } from './approvals.js';
import { decodeCursor, encodeCursor, isTime, type Page } from '../cursor.js';
import { decidableCondition, visibilityConditions, type Viewer } from '../runs/visibility.js';
import { equalsCondition, withoutNul } from '../text.js';

export type InboxOrder = 'risk' | 'age';

export interface ApprovalFilter {
  readonly status?: string | undefined;
  readonly role?: string | undefined;
  readonly flow?: string | undefined;
  readonly environment?: string | undefined;
  readonly tool?: string | undefined;
  /** `none`: approvals of actions without a tier. */
  readonly tier?: string | undefined;
  readonly transition?: string | undefined;
  readonly requestedBy?: string | undefined;
  readonly expiringBefore?: string | undefined;
  /** Text to find in the summary or in the names of tool, transition and flow. */
  readonly text?: string | undefined;
  /** Only open approvals that the viewer's roles let it decide, and that it has not decided yet. */
  readonly mine?: boolean | undefined;
  /** Only approvals on which the viewer has a claim that has not run out. */
  readonly claimed?: boolean | undefined;
  /** Only approvals that were handed to the viewer. */
  readonly delegated?: boolean | undefined;
  /** By default `risk`: the riskiest first, and among equals the oldest. */
  readonly order?: InboxOrder | undefined;
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | null;
}

interface Position {
  readonly risk: number;
  readonly time: string;
  readonly id: string;
}

/** Risk, time of request and id never change, so a page goes on exactly where the last page ended. */
const orders = {
  risk: (alias) => `(-${alias}.risk), ${alias}.requested_at, ${alias}.id`,
  age: (alias) => `${alias}.requested_at, ${alias}.id`,
} as const satisfies Record<InboxOrder, (alias: string) => string>;

/**
 * Lists approvals. A page ends at its `limit`, or before its documents together would exceed `mostBytes`, but holds at least one.
 * Null: this service made no such cursor, or it is of the other order.
 */
export async function listApprovals(
  q: Queryable,
  filter: ApprovalFilter,
  mostBytes = mostAnswerBytes,
): Promise<Page<ApprovalRow> | null> {
  const order = filter.order ?? 'risk';
  const from = filter.cursor === null ? null : position(filter.cursor, order);
  if (filter.cursor !== null && from === null) return null;
  const values = makeValues();
  const { name } = values;
  const by = orders[order];
  const asked = [...(from === null ? [] : [after(from, order, name)]), ...conditions(filter, name)];
  const next = name(filter.limit + 1);
  // Who may decide an approval may also see its run, so `mine` needs no further condition.
  const ways = filter.mine === true ? ['true'] : visibilityConditions(filter.viewer, name);
  const found = ways.map(
    (way) =>
      `(select a.id, a.risk, a.requested_at from approval a ${way === 'true' ? '' : 'join run r on r.id = a.run'}
         where ${[...asked, way].join(' and ')} order by ${by('a')} limit ${next})`,
  );
  const rows = await queryPlanned<ApprovalRow & { readonly found: number }>(
    q,
    `select ${approvalColumns}, page.found from (
       select f.id, count(*) over () as found, row_number() over (order by ${by('f')}) as place,
              sum(octet_length(d.doc::text) + coalesce(octet_length(d.state::text), 0)) over (order by ${by('f')}) as bytes
         from (select * from (${found.join(' union ')}) f order by ${by('f')} limit ${next}) f join approval d on d.id = f.id) page
       join approval a on a.id = page.id
      where page.place <= ${name(filter.limit)} and (page.place = 1 or page.bytes <= ${name(mostBytes)})
      order by ${by('a')}`,
    values,
  );
  const items = rows.map(({ found: _found, ...row }) => row);
  const last = items.at(-1);
  const more = (rows[0]?.found ?? 0) > items.length && last !== undefined;
  return { items, nextCursor: more ? cursorAfter(last, order) : null };
}

/** The cursor of the page that follows this approval. */
export function cursorAfter(
  { risk, requestedAt, id }: Pick<ApprovalRow, 'risk' | 'requestedAt' | 'id'>,
  order: InboxOrder = 'risk',
): string {
  return encodeCursor([order, risk, requestedAt, id]);
}

const open = openStatuses.map((status) => `'${status}'`).join(', ');
/** Both conditions, because the index covers only rows that are not closed. */
const isOpen = `a.status in (${open}) and a.closed_at is null`;

function after({ risk, time, id }: Position, order: InboxOrder, name: Values['name']): string {
  const place = `(${orders[order]('a')})`;
  const rest = `${name(time)}::timestamptz, ${name(id)}::text`;
  return order === 'risk' ? `${place} > (${name(-risk)}::smallint, ${rest})` : `${place} > (${rest})`;
}

function conditions(filter: ApprovalFilter, name: Values['name']): string[] {
  const { status, role, tier, expiringBefore, text, viewer } = filter;
  const who = (): string => name(withoutNul(viewer.id));
  const when = (is: boolean | undefined, condition: () => string): string[] =>
    is === true ? [condition()] : [];
  return [
    ...when(status === 'open' || filter.mine, () => isOpen),
    ...(status === 'open' ? [] : equalsCondition('a.status', status, name)),
    ...when(status === 'escalated', () => 'a.closed_at is null'),
    ...when(
      status !== undefined && !openStatuses.some((open) => open === status),
      () => 'a.closed_at is not null',
    ),
    ...when(role !== undefined, () => `a.roles @> array[${name(withoutNul(role ?? ''))}]::text[]`),
    ...equalsCondition('a.flow', filter.flow, name),
    ...equalsCondition('a.environment', filter.environment, name),
    ...equalsCondition('a.tool', filter.tool, name),
    ...(tier === 'none' ? ['a.tier is null'] : equalsCondition('a.tier', tier, name)),
    ...equalsCondition('a.transition', filter.transition, name),
    ...equalsCondition('a.requested_by', filter.requestedBy, name),
    ...when(expiringBefore !== undefined, () => `a.expires_at < ${name(expiringBefore)}::timestamptz`),
    ...when(
      text !== undefined,
      () => `position(${name(withoutNul((text ?? '').toLowerCase()))} in a.search) > 0`,
    ),
    ...when(filter.mine, () => decidableCondition('a', viewer, name)),
    ...when(
      filter.mine,
      () =>
        `not exists (select 1 from decision m where m.approval = a.id and m.by_id = ${who()} and m.status <> 'refused')`,
    ),
    ...when(
      filter.claimed,
      () =>
        `exists (select 1 from approval_claim c where c.approval = a.id and c.principal = ${who()} and c.until > now())`,
    ),
    ...when(
      filter.delegated,
      () => `exists (select 1 from approval_delegation g where g.approval = a.id and g.delegate = ${who()})`,
    ),
  ];
}

function position(cursor: string, order: InboxOrder): Position | null {
  const [of, risk, time, id] = decodeCursor(cursor, 4) ?? [];
  if (of !== order || typeof risk !== 'number' || typeof time !== 'string' || typeof id !== 'string')
    return null;
  return isTime(time) && risk >= 1 && risk <= 3 ? { risk, time, id } : null;
}
