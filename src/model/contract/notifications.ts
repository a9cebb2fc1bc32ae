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

/** How far the notifications of an approval were delivered; see `deliveryOf`. */
export const deliveryStatuses = ['none', 'pending', 'delivered', 'partial', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export interface NotificationPolicy {
  /** The address at which people reach this service, without a slash at its end; null: messages carry only paths. */
  readonly publicUrl: string | null;
  readonly channels: readonly Channel[];
  readonly routes: readonly NotificationRoute[];
}

/** Says who is told. All routes that match are used; a null field matches everything. */
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

/** `env://NAME` or `secret://name`, resolved for each delivery. */
type Reference = string;

export interface WebhookChannel {
  readonly kind: 'webhook';
  readonly name: string;
  /** An address or a reference. */
  readonly url: string;
  readonly signing: 'hmac' | 'ed25519';
  /** `whsec_` secrets. Each of them signs, so that a secret can be exchanged. Empty where the service's own key signs. */
  readonly secrets: readonly Reference[];
  /** `action`: the notification carries the exact action, as the approval's body shows it. */
  readonly content: 'thin' | 'action';
  readonly allowPrivate: boolean;
}

/** Whether a webhook may be sent to this address, which stands in the file or behind a reference. Refuses parts that a call would not use. */
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
  /** Slack user id to principal id. A Slack user who is not listed can decide nothing. */
  readonly users: Readonly<Record<string, string>>;
  /** Base address of Slack's Web API, without a slash at its end. */
  readonly api: string;
  readonly allowPrivate: boolean;
}

export interface EmailChannel {
  readonly kind: 'email';
  readonly name: string;
  /** A reference to an `smtp://` or `smtps://` URL. */
  readonly smtp: Reference;
  readonly from: string;
  readonly to: readonly EmailRecipient[];
  readonly allowPrivate: boolean;
}

interface EmailRecipient {
  readonly address: string;
  /** The person behind the address, who gets personal links; null: only the page's address is sent. */
  readonly principal: string | null;
}
