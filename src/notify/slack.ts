import type { SlackChannel } from '../model/notifications.js';
import type { Around, Delivered, Notification } from './types.js';

export function deliverSlack(
  _channel: SlackChannel,
  _notification: Notification,
  _around: Around,
): Promise<Delivered> {
  return Promise.resolve({ status: 'failed', detail: 'delivery by Slack is not available' });
}
