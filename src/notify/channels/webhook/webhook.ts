import { createHash, createHmac } from 'node:crypto';
import { exchange, parseRetryAfter, type Exchange } from '../../../executors/connections/network.js';
import { resolveTexts } from '../../../executors/connections/references.js';
import { isWebhookAddress, type WebhookChannel } from '../../../model/contract/notifications.js';
import type { JsonObject } from '../../../model/values/json.js';
import type { Around, Delivered, Notification } from '../../types.js';

// Standard Webhooks: https://www.standardwebhooks.com

/** The payload. Its text is the same at each attempt while the approval has not changed, so that receivers may compare bytes as well as ids. */
function webhookPayload(
  { event, at, approval, run, url, body }: Notification,
  content: WebhookChannel['content'],
): JsonObject {
  const picked = (names: readonly string[]): JsonObject =>
    Object.fromEntries(names.map((name) => [name, body[name] ?? null]));
  return {
    type: `approval.${event}`,
    timestamp: at,
    data: {
      approval,
      run,
      ...picked(thin),
      url,
      ...(content === 'action' ? { action: picked(action) } : {}),
    },
  };
}

const thin = [
  'status',
  'flow',
  'environment',
  'transition',
  'tool',
  'tier',
  'summary',
  'roles',
  'expiresAt',
] as const;
const action = ['arguments', 'preview', 'unreadable', 'digest', 'consequence', 'because'] as const;

export async function deliverWebhook(
  channel: WebhookChannel,
  notification: Notification,
  around: Around,
): Promise<Delivered> {
  const resolved = await resolveTexts([channel.url, ...channel.secrets], around.references);
  if (resolved.status === 'missing') return { status: 'retry', detail: resolved.message };
  const [url = '', ...secrets] = resolved.texts;
  if (!isWebhookAddress(url))
    return {
      status: 'retry',
      detail:
        'its `url` is no http address without fragment and credentials: write `https://…`, it is tried again',
    };
  const base = new URL(url);
  const address = hashAddress(base);
  if ((await around.gone()).includes(address)) return { status: 'failed', detail: off };
  const body = JSON.stringify(webhookPayload(notification, channel.content));
  const timestamp = String(Math.floor(around.now().getTime() / 1_000));
  const signature = sign(channel, secrets, `${notification.id}.${timestamp}.${body}`, around);
  if (signature === null)
    return {
      status: 'retry',
      detail: 'its secret is none: write `whsec_` and 24 to 64 bytes in base64, it is tried again',
    };
  const exchanged = await exchange({
    base,
    path: `${base.pathname}${base.search}`,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'countersign',
      'webhook-id': notification.id,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature,
    },
    body,
    allowPrivate: channel.allowPrivate,
    signal: around.signal,
  });
  const judged = judgeExchange(exchanged, around);
  return judged === 'gone' ? { status: 'failed', detail: wantsNoMore, gone: address } : judged;
}

const wantsNoMore = 'answered 410: the receiver wants no more, and its channel is off';
const off = 'its receiver has answered 410: the channel is off until its address or the policies change';

/** A hash of the address, because the address may be a secret. */
function hashAddress(url: URL): string {
  return createHash('sha256').update(url.href).digest('hex').slice(0, 32);
}

function sign(
  { signing }: WebhookChannel,
  secrets: readonly string[],
  signed: string,
  { webhookKey }: Around,
): string | null {
  if (signing === 'ed25519') return `v1a,${webhookKey.sign(Buffer.from(signed)).toString('base64')}`;
  const keys = secrets.map(hmacKey);
  if (keys.length === 0 || keys.includes(null)) return null;
  return keys
    .flatMap((key) => (key === null ? [] : [createHmac('sha256', key).update(signed).digest('base64')]))
    .map((signature) => `v1,${signature}`)
    .join(' ');
}

function hmacKey(secret: string): Buffer | null {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.trim()) ?? [];
  const key = Buffer.from(text ?? '', 'base64');
  return key.length >= 24 && key.length <= 64 ? key : null;
}

const gone = 410;
const longestWaitMs = 86_400_000;

function judgeExchange(exchanged: Exchange, { signal, now }: Around): Delivered | 'gone' {
  if (exchanged.status === 'refused')
    return { status: exchanged.isPrivate === true ? 'failed' : 'retry', detail: exchanged.message };
  if (exchanged.status === 'failed')
    return { status: 'retry', detail: signal.aborted ? 'no answer in time' : exchanged.message };
  const { response } = exchanged;
  const status = response.statusCode ?? 0;
  // Only the status is used.
  response.on('error', () => undefined).destroy();
  if (status >= 200 && status < 300) return { status: 'delivered', detail: `answered ${status}` };
  if (status === gone) return 'gone';
  if (status >= 300 && status < 400)
    return { status: 'retry', detail: `answered ${status}: redirects are not followed` };
  const asked = parseRetryAfter(response.headers['retry-after'], now().getTime());
  return {
    status: 'retry',
    detail: `answered ${status}`,
    ...(asked === undefined ? {} : { afterMs: Math.min(asked, longestWaitMs) }),
  };
}
