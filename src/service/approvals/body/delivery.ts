import type { ApprovalJson } from '../../../model/contract/answer-types.js';
import type { DeliveryStatus, NotificationEvent } from '../../../model/contract/notifications.js';
import type { NotificationRow } from '../../../store/notifications.js';

type Delivery = ApprovalJson['delivery'];

/** The events that ask somebody to decide; the others tell what became of the approval. */
const askingEvents: readonly NotificationEvent[] = ['requested', 'reminder', 'escalated'];

/**
 * Whether people were told that the approval waits. `none`: nobody was to be told, or it was settled before; `pending`: somebody
 * is still to be told; `partial`: some were told, others cannot be; `failed`: nobody was told, and nobody will be.
 */
export function deliveryOf(rows: readonly NotificationRow[]): Delivery {
  return {
    status: statusOf(rows.filter((row) => askingEvents.includes(row.event))),
    channels: rows.map(channelOf),
  };
}

function statusOf(rows: readonly NotificationRow[]): DeliveryStatus {
  const has = (status: NotificationRow['status']): boolean => rows.some((row) => row.status === status);
  if (has('waiting')) return 'pending';
  if (has('failed')) return has('delivered') ? 'partial' : 'failed';
  return has('delivered') ? 'delivered' : 'none';
}

/** Without the address: not everybody who may see the approval may know whose it is. */
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
