import type { NotificationEvent } from '../model/contract/notifications.js';
import { write, type Queryable, type Tx } from '../db/index.js';

export interface NewNotification {
  readonly id: string;
  readonly run: string;
  readonly approval: string;
  readonly event: NotificationEvent;
  /** Key of the fact that it tells of, so that a fact is told only once, however often it is written. */
  readonly cause: string;
  readonly channel: string;
  readonly recipient: string;
}

export type NotificationStatus = 'waiting' | 'delivered' | 'failed' | 'superseded';

export interface NotificationRow extends NewNotification {
  readonly status: NotificationStatus;
  readonly attempts: number;
  readonly nextAt: string;
  readonly createdAt: string;
  readonly settledAt: string | null;
  readonly detail: string | null;
  readonly memo: string | null;
}

export const notificationChannel = 'countersign_notifications';

const columns = `n.id, n.run, n.approval, n.event, n.cause, n.channel, n.recipient, n.status, n.attempts, n.next_at as "nextAt",
  n.created_at as "createdAt", n.settled_at as "settledAt", n.detail, n.memo`;

/** Stores notifications in the transaction of the facts that they tell of; its commit wakes the deliverers. */
export async function putNotifications(tx: Tx, rows: readonly NewNotification[]): Promise<void> {
  if (rows.length === 0) return;
  for (const row of rows)
    await write(
      tx,
      `insert into notification (id, run, approval, event, cause, channel, recipient) values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (run, cause, channel, recipient) do nothing`,
      [row.id, row.run, row.approval, row.event, row.cause, row.channel, row.recipient],
    );
  await write(tx, 'select pg_notify($1, $2)', [notificationChannel, '']);
}

/** Takes due notifications, each for only one of all processes, until the lease ends; if the process dies, another takes them then. */
export async function claimNotifications(
  q: Queryable,
  { limit, leaseMs, without }: { limit: number; leaseMs: number; without: readonly string[] },
): Promise<NotificationRow[]> {
  const { rows } = await q.query<NotificationRow>(
    `update notification n set attempts = n.attempts + 1, next_at = now() + $2 * interval '1 millisecond'
      where n.id in (select id from notification where status = 'waiting' and next_at <= now() and channel <> all($3::text[])
                      order by next_at limit $1 for update skip locked)
      returning ${columns}`,
    [limit, leaseMs, without],
  );
  return rows;
}

/** Extends the lease of a notification, unless it has ended and another process has taken the notification since. */
export async function keepNotification(
  q: Queryable,
  { id, attempts }: Pick<NotificationRow, 'id' | 'attempts'>,
  leaseMs: number,
): Promise<void> {
  await q.query(
    `update notification set next_at = now() + $3 * interval '1 millisecond'
      where id = $1 and attempts = $2 and status = 'waiting'`,
    [id, attempts, leaseMs],
  );
}

export interface Settlement {
  readonly status: NotificationStatus;
  readonly detail: string;
  readonly memo: string | null;
  /** For `waiting`: milliseconds until the next attempt. */
  readonly afterMs: number;
}

/** Stores the outcome. False: the lease had ended and another process has taken the notification since; its outcome counts. */
export async function settleNotification(
  q: Queryable,
  { id, attempts }: Pick<NotificationRow, 'id' | 'attempts'>,
  { status, detail, memo, afterMs }: Settlement,
): Promise<boolean> {
  const { rowCount } = await q.query(
    `update notification set status = $3, detail = $4, memo = coalesce($5, memo), next_at = now() + $6 * interval '1 millisecond',
            settled_at = case when $3 = 'waiting' then null else now() end
      where id = $1 and attempts = $2 and status = 'waiting'`,
    [id, attempts, status, detail, memo, afterMs],
  );
  return rowCount === 1;
}

/** Counts, by channel, the undelivered notifications of approvals that still wait. */
export async function countUndeliveredNotifications(
  q: Queryable,
): Promise<{ channel: string; status: string; count: number }[]> {
  const { rows } = await q.query<{ channel: string; status: string; count: number }>(
    `select n.channel, case when n.status = 'waiting' and n.detail is not null then 'retrying' else n.status end as status, count(*) as count
       from notification n join approval a on a.id = n.approval
      where n.status in ('waiting', 'failed') and a.closed_at is null group by 1, 2`,
  );
  return rows;
}

/** Memos of failures for good since the current policies came into force; after a change of policies, failed addresses are tried again. */
export async function findGoneAddresses(q: Queryable, channel: string): Promise<string[]> {
  const { rows } = await q.query<{ memo: string }>(
    `select distinct n.memo from notification n where n.channel = $1 and n.status = 'failed' and n.memo is not null
        and n.settled_at >= (select loaded_at from policy_set order by seq desc limit 1)`,
    [channel],
  );
  return rows.map((row) => row.memo);
}

/** The channel's last memo about the approval. */
export async function findLastMemo(
  q: Queryable,
  { approval, channel, recipient }: Pick<NotificationRow, 'approval' | 'channel' | 'recipient'>,
): Promise<string | null> {
  const { rows } = await q.query<{ memo: string }>(
    `select memo from notification where approval = $1 and channel = $2 and recipient = $3 and status <> 'failed' and memo is not null
      order by created_at desc, id desc limit 1`,
    [approval, channel, recipient],
  );
  return rows[0]?.memo ?? null;
}

export async function notificationsOf(
  q: Queryable,
  approvals: readonly string[],
): Promise<NotificationRow[]> {
  if (approvals.length === 0) return [];
  const { rows } = await q.query<NotificationRow>(
    `select ${columns} from notification n where n.approval = any($1) order by n.created_at, n.channel, n.recipient`,
    [approvals],
  );
  return rows;
}
