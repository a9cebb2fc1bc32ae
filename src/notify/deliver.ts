import type { Channel } from '../model/notifications.js';
import { deliverSlack } from './slack.js';
import type { Around, Delivered, Notification } from './types.js';

/** One attempt. Throws nothing that is expected; what is thrown counts as `retry`. */
export function deliver(channel: Channel, notification: Notification, around: Around): Promise<Delivered> {
  switch (channel.kind) {
    case 'webhook':
      return Promise.resolve({ status: 'failed', detail: 'delivery by webhook is not available' });
    case 'email':
      return Promise.resolve({ status: 'failed', detail: 'delivery by e-mail is not available' });
    case 'slack':
      return deliverSlack(channel, notification, around);
  }
}
