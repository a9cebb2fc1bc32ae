import type { LookupAddress } from 'node:dns';
import { connect, type Socket } from 'node:net';
import { createTransport } from 'nodemailer';
import { makePinnedLookup, resolveAddresses } from '../../../executors/connections/network.js';
import { isPrivateAddress } from '../../../executors/connections/private-addresses.js';
import { resolveTexts } from '../../../executors/connections/references.js';
import type { EmailChannel } from '../../../model/contract/notifications.js';
import { judgeError, describeNoAnswer } from './smtp-errors.js';
import { writeEmail } from './text.js';
import type { Around, Delivered, Notification } from '../../types.js';

interface Relay {
  readonly base: URL;
  readonly secure: boolean;
  readonly port: number;
  readonly auth: { readonly user: string; readonly pass: string } | undefined;
}

export async function deliverEmail(
  channel: EmailChannel,
  notification: Notification,
  around: Around,
): Promise<Delivered> {
  const resolved = await resolveTexts([channel.smtp], around.references);
  if (resolved.status === 'missing') return { status: 'retry', detail: resolved.message };
  const relay = relayOf(resolved.texts[0] ?? '');
  if (relay === null)
    return {
      status: 'retry',
      detail:
        'its `smtp` is no `smtp://` or `smtps://` URL of host, port and credentials: percent-encode user and password (`#` is `%23`), it is tried again',
    };
  const found = await resolveAddresses(relay.base, channel.allowPrivate, around.signal);
  if (found.status === 'refused') return { status: 'failed', detail: found.message };
  if (found.status === 'failed') return { status: 'retry', detail: found.message };
  return sendMail(channel, notification, relay, found.addresses, around);
}

/** The relay that the URL names; null if a part of the URL would be ignored or misread, as with a raw `/` in a password, which would end the host. */
function relayOf(text: string): Relay | null {
  if (!URL.canParse(text)) return null;
  const base = new URL(text);
  const secure = base.protocol === 'smtps:';
  if (
    (!secure && base.protocol !== 'smtp:') ||
    base.hostname === '' ||
    !['', '/'].includes(base.pathname) ||
    base.hash !== '' ||
    base.search !== ''
  )
    return null;
  try {
    const auth =
      base.username === ''
        ? undefined
        : { user: decodeURIComponent(base.username), pass: decodeURIComponent(base.password) };
    return { base, secure, port: base.port === '' ? (secure ? 465 : 587) : Number(base.port), auth };
  } catch {
    return null;
  }
}

const stepMs = 10_000;
/** How long a server that has all of a message may take to say that it has accepted it (RFC 5321 4.5.3.2.6). */
const takenMs = 600_000;

async function sendMail(
  { from }: EmailChannel,
  notification: Notification,
  { base, secure, port, auth }: Relay,
  addresses: readonly LookupAddress[],
  { signal, longer }: Around,
): Promise<Delivered> {
  // The name that the certificate must have; the connection goes to an address that was checked.
  const host = base.hostname.replace(/^\[|\]$/g, '');
  const transfer = watchTransfer(signal, longer);
  const transport = createTransport({
    host,
    port,
    secure,
    getSocket: (_options, done) => {
      const socket = dial(host, port, addresses, done);
      void transfer.over.then(() => socket.destroy());
    },
    ...(auth === undefined ? {} : { auth }),
    // Outside of private networks, passwords and approvals are sent only over TLS.
    requireTLS: !secure && !addresses.every(({ address }) => isPrivateAddress(address)),
    connectionTimeout: stepMs,
    greetingTimeout: stepMs,
    // Until the message has been sent, `signal` ends it.
    socketTimeout: takenMs,
    logger: transfer.logger,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { subject, text, html } = writeEmail(notification);
  try {
    const sent = await Promise.race([
      transport.sendMail({
        from,
        to: { name: '', address: notification.recipient },
        subject,
        text,
        html,
        messageId: `<${notification.id}@countersign>`,
        headers: { 'X-Countersign-Message': notification.id, 'Auto-Submitted': 'auto-generated' },
      }),
      transfer.over,
    ]);
    return sent === 'over'
      ? { status: 'retry', detail: describeNoAnswer('no answer in time', transfer.hasAll()) }
      : { status: 'delivered', detail: 'the mail server has taken it' };
  } catch (error) {
    return judgeError(error, transfer.hasAll());
  } finally {
    transport.close();
  }
}

type Dialled = (error: Error | null, found?: { readonly connection: Socket }) => void;

/** Connects to the first address that answers, and tries all of them. */
function dial(host: string, port: number, addresses: readonly LookupAddress[], done: Dialled): Socket {
  const socket = connect({
    host,
    port,
    lookup: makePinnedLookup(addresses),
    autoSelectFamily: true,
    timeout: stepMs,
  });
  const tooLong = (): void => {
    socket.destroy(Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' }));
  };
  socket.once('error', done).once('timeout', tooLong);
  socket.once('connect', () => {
    socket.off('error', done).off('timeout', tooLong).setTimeout(0);
    done(null, { connection: socket });
  });
  return socket;
}

interface Transfer {
  /** Resolves when the time for what is under way is over. */
  readonly over: Promise<'over'>;
  /** Whether the server has all of the message. */
  readonly hasAll: () => boolean;
  readonly logger: Readonly<
    Record<'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal', (entry: unknown) => void>
  >;
}

/** Watches the time limits: that of an attempt until the server has all of the message, then the time that the server may take to accept it. */
function watchTransfer(signal: AbortSignal, longer: Around['longer']): Transfer {
  let hasAll = false;
  const ignore = (): void => undefined;
  let handedOver = ignore;
  const over = new Promise<'over'>((resolve) => {
    const end = (): void => resolve('over');
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    handedOver = () => {
      if (hasAll) return;
      hasAll = true;
      signal.removeEventListener('abort', end);
      const later = longer(takenMs);
      if (later.aborted) end();
      later.addEventListener('abort', end, { once: true });
    };
  });
  // Only the client's log says when the server has the message. Only that entry is used, and nothing is logged.
  const info = (entry: unknown): void => {
    if (typeof entry === 'object' && entry !== null && 'tnx' in entry && entry.tnx === 'message')
      handedOver();
  };
  const logger = { trace: ignore, debug: ignore, info, warn: ignore, error: ignore, fatal: ignore };
  return { over, hasAll: () => hasAll, logger };
}
