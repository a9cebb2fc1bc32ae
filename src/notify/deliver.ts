import type { Channel } from '../model/contract/notifications.js';
import { deliverEmail } from './channels/email/email.js';
import { deliverSlack } from './channels/slack/slack.js';
import type { Around, Delivered, Notification } from './types.js';
import { deliverWebhook } from './channels/webhook/webhook.js';

/** Makes an attempt. What it throws is a fault of this program, and counts as `retry`. */
export function deliver(channel: Channel, notification: Notification, around: Around): Promise<Delivered> {
  switch (channel.kind) {
    case 'webhook':
      return deliverWebhook(channel, notification, around);
    case 'email':
      return deliverEmail(channel, notification, around);
    case 'slack':
      return deliverSlack(channel, notification, around);
  }
}
