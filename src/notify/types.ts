import type { NotificationEvent } from '../model/contract/notifications.js';
import type { JsonObject } from '../model/values/json.js';
import type { ReferenceSource } from '../executors/types.js';

/** A message about an approval to a channel. */
export interface Notification {
  /** The same at each attempt, so that a receiver recognizes a message that it already has. */
  readonly id: string;
  readonly event: NotificationEvent;
  readonly approval: string;
  readonly run: string;
  /** When the event happened, ISO 8601 UTC. */
  readonly at: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** An e-mail address; empty if the channel has no separate recipients. */
  readonly recipient: string;
  /** The approval as `GET /v1/approvals/{id}` shows it now: the exact action stands in `arguments`, `preview`, `digest`. */
  readonly body: JsonObject;
  /** The approval's page; null: the configuration has no `publicUrl`. */
  readonly url: string | null;
  /** A single-use link for this recipient only; null: the recipient may have none. It is a secret that is sent and never stored. */
  readonly link: string | null;
  /** The channel's last `memo` about this approval; null: none. */
  readonly earlier: string | null;
}

/** What a delivery needs from outside. */
export interface Around {
  /** Resolves `env://` and `secret://`. */
  readonly references: ReferenceSource;
  /** Aborts when the time of the attempt is up, and when the process stops. */
  readonly signal: AbortSignal;
  /**
   * Gives more time to a receiver that has all of the message and may take `ms` to confirm it; nobody else tries meanwhile. The
   * returned signal aborts when that time is up, and when the process stops.
   */
  readonly longer: (ms: number) => AbortSignal;
  readonly now: () => Date;
  readonly webhookKey: WebhookKey;
  /** Addresses of this channel, as `gone` has marked them, that want no more messages. */
  readonly gone: () => Promise<readonly string[]>;
}

/** The key that signs webhooks of `signing: ed25519`. */
export interface WebhookKey {
  /** `whpk_<base64>`: the public key with which receivers verify. */
  readonly published: string;
  sign(bytes: Buffer): Buffer;
}

/** `detail` is stored and shown: a short sentence without secrets or addresses. */
export type Delivered =
  | { readonly status: 'delivered'; readonly detail: string; readonly memo?: string }
  /** Failed in a way that passes or that somebody can correct: it is tried again by the schedule, but not before `afterMs`. */
  | { readonly status: 'retry'; readonly detail: string; readonly afterMs?: number }
  /** Trying again would not help. `gone`: the mark of an address that wants no more messages. */
  | { readonly status: 'failed'; readonly detail: string; readonly gone?: string };
