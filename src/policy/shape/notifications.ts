import { z } from 'zod';
import { notificationEvents } from '../../model/contract/notifications.js';
import { acknowledge, identifier, line, nameShape, principalId } from './basics.js';

// `notifications.yaml`: channels, and routes that say who is notified through which channel.

export const referencePattern = /^(env:\/\/[A-Za-z_][A-Za-z0-9_]*|secret:\/\/[A-Za-z0-9_][A-Za-z0-9._-]*)$/;

/** Many people read policy files, so they hold references to secrets, never secrets. */
const secretReference = z.string().regex(referencePattern, {
  error: 'is no reference: write `env://NAME` or `secret://name`, secrets do not stand in policies',
});
const address = z.string().regex(/^[^\s@<>,;"]{1,64}@[^\s@<>,;"]{1,255}$/, {
  error: 'is no e-mail address: write `name@example.com`',
});
const event = z.enum(notificationEvents);

const webhookShape = z.strictObject({
  kind: z.literal('webhook'),
  url: line.min(1),
  signing: z.enum(['hmac', 'ed25519']).optional(),
  secret: z.union([secretReference, z.array(secretReference).min(1).max(4)]).optional(),
  content: z.enum(['thin', 'action']).optional(),
  allowPrivate: z.boolean().optional(),
});
const slackShape = z.strictObject({
  kind: z.literal('slack'),
  token: secretReference,
  channel: z.string().regex(/^[A-Z0-9]{2,40}$/, {
    error: 'is no id of a Slack conversation: write `C0123456789`, not its name',
  }),
  signingSecret: secretReference,
  users: z.record(z.string().regex(/^[A-Z0-9]{2,40}$/), principalId).optional(),
  api: line.min(1).optional(),
  allowPrivate: z.boolean().optional(),
});
const emailShape = z.strictObject({
  kind: z.literal('email'),
  smtp: secretReference,
  from: line.min(3).max(320),
  to: z
    .array(z.union([address, z.strictObject({ address, principal: principalId })]))
    .min(1)
    .max(100),
  allowPrivate: z.boolean().optional(),
});
export const channelShape = z.discriminatedUnion('kind', [webhookShape, slackShape, emailShape]);
export type ChannelShape = z.infer<typeof channelShape>;

export const routeShape = z.strictObject({
  queue: identifier.optional(),
  role: identifier.optional(),
  flow: identifier.optional(),
  environment: identifier.optional(),
  events: z.array(event).min(1).optional(),
  to: z.array(identifier).min(1),
});

export const notificationsShape = z.strictObject({
  version: z.literal(1).optional(),
  publicUrl: line.min(1).optional(),
  channels: z.record(nameShape, channelShape).optional(),
  routes: z.array(routeShape).optional(),
  acknowledge: acknowledge.optional(),
});
export type NotificationsShape = z.infer<typeof notificationsShape>;
