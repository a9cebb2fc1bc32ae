import type { Authenticator, Sessions } from '../auth/index.js';
import type { Feed } from '../service/audit/feed.js';
import type { ServiceDeps } from '../service/deps.js';
import type { Anonymous } from './http/anonymous.js';
import type { BodyRoom } from './http/bodies/held-bodies.js';
import type { Metrics } from './metrics/metrics.js';

/** What the API needs. The composition root passes it; tests pass their own. */
export interface ApiDeps extends ServiceDeps {
  /** Whether the error says that the store does not answer. */
  readonly isUnavailable: (error: unknown) => boolean;
  readonly authenticate: Authenticator;
  /** AES-256 key under which answers to idempotent requests are kept: such an answer may hold a new API key. */
  readonly answerKey: Buffer;
  readonly sessions: Sessions;
  /** The public key that verifies webhooks of `signing: ed25519`: `whpk_<base64>`. */
  readonly webhookKey: string;
  readonly feed: Feed;
  /** Counts requests without a credential. */
  readonly anonymous: Anonymous;
  /** The room for the bodies of requests that are not answered yet. */
  readonly bodies: BodyRoom;
  readonly metrics: Metrics;
  readonly log: (line: string) => void;
}
