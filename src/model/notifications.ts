// Who is told of an approval, and how: what policies/notifications.yaml declares. Part of the policy set.

export const notificationEvents = [
  'requested',
  'reminder',
  'escalated',
  'decided',
  'expired',
  'revoked',
] as const;
export type NotificationEvent = (typeof notificationEvents)[number];

/** Of an approval: see `deliveryOf`. */
export const deliveryStatuses = ['none', 'pending', 'delivered', 'partial', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export interface NotificationPolicy {
  /** Where people reach this service, without a slash at its end; null: messages carry paths only. */
  readonly publicUrl: string | null;
  readonly channels: readonly Channel[];
  readonly routes: readonly NotificationRoute[];
}

/** Every route that matches counts. Null: whatever it is. */
export interface NotificationRoute {
  readonly queue: string | null;
  readonly role: string | null;
  readonly flow: string | null;
  readonly environment: string | null;
  readonly events: readonly NotificationEvent[] | null;
  /** Names of channels. */
  readonly to: readonly string[];
}

export type Channel = WebhookChannel | SlackChannel | EmailChannel;

/** A `Reference` is one `env://NAME` or `secret://name`, resolved at use, for one delivery. */
type Reference = string;

export interface WebhookChannel {
  readonly kind: 'webhook';
  readonly name: string;
  /** May be a reference. */
  readonly url: string;
  readonly signing: 'hmac' | 'ed25519';
  /** `whsec_` secrets: each signs, so that one can be changed for another. Empty where the service's own key signs. */
  readonly secrets: readonly Reference[];
  /** `action`: with the exact action, as the approval's body shows it. */
  readonly content: 'thin' | 'action';
  readonly allowPrivate: boolean;
}

/** What a webhook may be sent to, written in the file or held by a reference: nothing of it would be left out. */
export function isWebhookAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === '';
}

export interface SlackChannel {
  readonly kind: 'slack';
  readonly name: string;
  readonly token: Reference;
  /** Slack's id of a conversation. */
  readonly channel: string;
  readonly signingSecret: Reference;
  /** Slack user id to principal id. Who is not in it decides nothing from Slack. */
  readonly users: Readonly<Record<string, string>>;
  /** Base address of Slack's Web API, without a slash at its end. */
  readonly api: string;
  readonly allowPrivate: boolean;
}

export interface EmailChannel {
  readonly kind: 'email';
  readonly name: string;
  /** To an `smtp://` or `smtps://` URL. */
  readonly smtp: Reference;
  readonly from: string;
  readonly to: readonly EmailRecipient[];
  readonly allowPrivate: boolean;
}

interface EmailRecipient {
  readonly address: string;
  /** The person behind the address, who is sent links of their own; null: only the page's address is sent. */
  readonly principal: string | null;
}
