import type { NotificationEvent } from '../model/notifications.js';
import type { JsonObject } from '../model/json.js';
import type { ReferenceSource } from '../executors/types.js';

/** One message about one approval, to one channel. */
export interface Notification {
  /** Stable: the same at each attempt, so that a receiver can tell that it has it already. */
  readonly id: string;
  readonly event: NotificationEvent;
  readonly approval: string;
  readonly run: string;
  /** When what it tells of happened, ISO 8601 UTC. */
  readonly at: string;
  /** From 1. */
  readonly attempt: number;
  /** An e-mail address; empty where the channel is one place. */
  readonly recipient: string;
  /** The approval as `GET /v1/approvals/{id}` shows it now: the exact action stands in `arguments`, `preview`, `digest`. */
  readonly body: JsonObject;
  /** The approval's page; null where the configuration has no `publicUrl`. */
  readonly url: string | null;
  /** A single-use link for the recipient alone; null where it may not have one. A secret: sent, never kept. */
  readonly link: string | null;
  /** What this channel last said about this approval (`memo`), null where it has said nothing. */
  readonly earlier: string | null;
}

/** What delivering needs of the world. */
export interface Around {
  /** For `env://` and `secret://`. */
  readonly references: ReferenceSource;
  /** Ends with the time of the attempt, and when the process stops. */
  readonly signal: AbortSignal;
  /**
   * For a receiver that has all of the message and may take so long to say that it took it: nobody else tries meanwhile.
   * What it gives ends with that time, and when the process stops.
   */
  readonly longer: (ms: number) => AbortSignal;
  readonly now: () => Date;
  readonly webhookKey: WebhookKey;
  /** Addresses of this channel, as `gone` marked them, that want no more. */
  readonly gone: () => Promise<readonly string[]>;
}

/** The key that signs webhooks of `signing: ed25519`. */
export interface WebhookKey {
  /** `whpk_<base64>`: what receivers verify with. */
  readonly published: string;
  sign(bytes: Buffer): Buffer;
}

/** `detail` is kept and shown: a short sentence without secrets and without addresses. */
export type Delivered =
  | { readonly status: 'delivered'; readonly detail: string; readonly memo?: string }
  /** Not now, whether it passes or somebody mends it: it is tried again by the schedule, not before `afterMs`. */
  | { readonly status: 'retry'; readonly detail: string; readonly afterMs?: number }
  /** Never: trying again would not help. `gone`: nor would anything else to that address. */
  | { readonly status: 'failed'; readonly detail: string; readonly gone?: string };
