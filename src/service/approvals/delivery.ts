import type { ApprovalJson } from '../../model/answer-types.js';
import type { DeliveryStatus, NotificationEvent } from '../../model/notifications.js';
import type { NotificationRow } from '../../store/notifications.js';

type Delivery = ApprovalJson['delivery'];

/** Those that ask somebody to decide; the others tell what became of it. */
const asking: readonly NotificationEvent[] = ['requested', 'reminder', 'escalated'];

/**
 * Was anybody told that it waits? `none`: nobody was to be, or it was settled before; `pending`: somebody is still to be
 * told; `partial`: some were told and some cannot be; `failed`: nobody was, and nobody will be.
 */
export function deliveryOf(rows: readonly NotificationRow[]): Delivery {
  return {
    status: statusOf(rows.filter((one) => asking.includes(one.event))),
    channels: rows.map(channelOf),
  };
}

function statusOf(rows: readonly NotificationRow[]): DeliveryStatus {
  const has = (status: NotificationRow['status']): boolean => rows.some((one) => one.status === status);
  if (has('waiting')) return 'pending';
  if (has('failed')) return has('delivered') ? 'partial' : 'failed';
  return has('delivered') ? 'delivered' : 'none';
}

/** Whose address it went to is not for everybody who may see the approval. */
function channelOf(row: NotificationRow): Delivery['channels'][number] {
  const retrying = row.status === 'waiting' && row.detail !== null;
  return {
    message: row.id,
    channel: row.channel,
    event: row.event,
    status: retrying ? 'retrying' : row.status,
    attempts: row.attempts,
    at: row.settledAt,
    ...(row.status === 'waiting' ? { nextAt: row.nextAt } : {}),
    ...(row.detail === null ? {} : { detail: row.detail }),
  };
}
