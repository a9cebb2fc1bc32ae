import type { JsonObject } from '../model/json.js';
import type { NotificationRow } from '../store/notifications.js';

export const deliveryStatuses = ['none', 'pending', 'delivered', 'partial', 'failed'] as const;

/**
 * Who was told that it waits. `none`: nothing is routed; `pending`: somebody is still to be told; `partial`: some were
 * told and some cannot be; `failed`: nobody was, and nobody will be.
 */
export function deliveryOf(rows: readonly NotificationRow[]): JsonObject {
  return { status: statusOf(rows), channels: rows.map(channelOf) };
}

function statusOf(rows: readonly NotificationRow[]): (typeof deliveryStatuses)[number] {
  if (rows.length === 0) return 'none';
  const has = (status: NotificationRow['status']): boolean => rows.some((one) => one.status === status);
  if (has('waiting')) return 'pending';
  if (!has('failed')) return 'delivered';
  return has('delivered') ? 'partial' : 'failed';
}

/** Whose address it went to is not for everybody who may see the approval. */
function channelOf(row: NotificationRow): JsonObject {
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
