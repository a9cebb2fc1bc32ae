import { lookup } from 'node:dns/promises';
import type { LookupAddress, LookupOptions } from 'node:dns';
import {
  request as httpRequest,
  validateHeaderName,
  validateHeaderValue,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { isPrivateAddress } from './private-addresses.js';

// The only way out over HTTP. A name is resolved once, its addresses are judged, and the connection goes to exactly these
// addresses: a name that resolves differently a moment later (DNS rebinding) gains nothing. Redirects are never followed.

export interface Outgoing {
  /** Only its protocol, host and port are used. */
  readonly base: URL;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly allowPrivate: boolean;
  readonly signal: AbortSignal;
}

export type Exchange =
  | { readonly status: 'answered'; readonly response: IncomingMessage }
  /** Not permitted: nothing was sent, and asking again will not help. */
  | { readonly status: 'refused'; readonly message: string; readonly isPrivate?: true }
  | { readonly status: 'failed'; readonly sent: boolean; readonly message: string };

export type Addresses =
  | { readonly status: 'resolved'; readonly addresses: readonly LookupAddress[] }
  | { readonly status: 'refused'; readonly message: string; readonly isPrivate: true }
  | { readonly status: 'failed'; readonly message: string };

/** The addresses of a host, refused where one of them is private. Whoever connects has to use exactly these addresses. */
export async function resolveAddresses(
  base: URL,
  allowPrivate: boolean,
  signal: AbortSignal,
): Promise<Addresses> {
  const host = base.hostname.replace(/^\[|\]$/g, '');
  const answer = await untilAborted(lookup(host, { all: true, verbatim: true }), signal);
  if (answer.status === 'failed')
    return { status: 'failed', message: `its host name does not resolve (${answer.code})` };
  // A single private address among public addresses is enough: any of them may be used.
  if (!allowPrivate && answer.value.some(({ address }) => isPrivateAddress(address))) {
    return {
      status: 'refused',
      message: 'its host has a loopback or private address; set `allowPrivate: true` where that is meant',
      isPrivate: true,
    };
  }
  return { status: 'resolved', addresses: answer.value };
}

type Settled<T> =
  { readonly status: 'done'; readonly value: T } | { readonly status: 'failed'; readonly code: string };

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<Settled<T>> {
  return await new Promise((resolve) => {
    const onAbort = (): void => resolve({ status: 'failed', code: 'aborted' });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work
      .then(
        (value) => resolve({ status: 'done', value }),
        (error: unknown) => resolve({ status: 'failed', code: codeOf(error) }),
      )
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

export async function exchange(outgoing: Outgoing): Promise<Exchange> {
  if (outgoing.base.protocol !== 'http:' && outgoing.base.protocol !== 'https:') {
    return { status: 'refused', message: 'its address is neither http nor https' };
  }
  const odd = findUnsendable(outgoing.headers);
  if (odd !== null) {
    const why = 'its name, or a line break or control character in its value, cannot be sent';
    return { status: 'refused', message: `header \`${odd}\`: ${why}` };
  }
  const resolved = await resolveAddresses(outgoing.base, outgoing.allowPrivate, outgoing.signal);
  if (resolved.status === 'refused') return resolved;
  if (resolved.status === 'failed') return { ...resolved, sent: false };
  return await send(outgoing, resolved.addresses);
}

/** The name of the first header that Node would not send; null: it sends all. */
function findUnsendable(headers: Outgoing['headers']): string | null {
  return Object.keys(headers).find((name) => !isSendable(name, headers[name] ?? '')) ?? null;
}

function isSendable(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

function send(outgoing: Outgoing, addresses: readonly LookupAddress[]): Promise<Exchange> {
  const { base, body } = outgoing;
  const options: RequestOptions = {
    protocol: base.protocol,
    hostname: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port,
    path: outgoing.path,
    method: outgoing.method,
    headers: {
      ...outgoing.headers,
      ...(body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    },
    agent: false,
    signal: outgoing.signal,
    lookup: makePinnedLookup(addresses),
  };
  return new Promise((resolve) => {
    let sent = false;
    const fail = (error: unknown): void => {
      if (!sent && isCertificateProblem(codeOf(error))) {
        resolve({ status: 'refused', message: `its certificate is not accepted (${codeOf(error)})` });
      } else resolve({ status: 'failed', sent, message: `the connection failed (${codeOf(error)})` });
    };
    try {
      const request = base.protocol === 'https:' ? httpsRequest(options) : httpRequest(options);
      request.on('socket', (socket) => {
        const encrypted = (socket as Partial<TLSSocket>).encrypted === true;
        if (!encrypted && !socket.connecting) sent = true;
        else socket.once(encrypted ? 'secureConnect' : 'connect', () => (sent = true));
      });
      request.on('error', fail);
      request.on('response', (response) => {
        noteBreak(response, request, outgoing.signal);
        resolve({ status: 'answered', response });
      });
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve({ status: 'failed', sent, message: 'the service asked to change the protocol' });
      });
      request.end(body ?? undefined);
    } catch (error) {
      // Node throws for a path that HTTP cannot carry.
      resolve({ status: 'refused', message: `the request cannot be sent (${codeOf(error)})` });
    }
  });
}

/** Why the body of an answer broke off, also where its stream ended without an error. */
const brokenOff = new WeakMap<Readable, string>();

/**
 * Notes why an answer breaks off. Where the end of the connection is the end of the body, its stream ends without an error also
 * when the connection is reset or the request is aborted: only the request gets the error.
 */
function noteBreak(response: IncomingMessage, request: ClientRequest, signal: AbortSignal): void {
  const note = (why: string): void => {
    if (!response.complete) brokenOff.set(response, why);
  };
  const onAbort = (): void => note('aborted');
  request.on('error', (error) => note(codeOf(error)));
  signal.addEventListener('abort', onAbort, { once: true });
  response.once('close', () => signal.removeEventListener('abort', onAbort));
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** A `lookup` that gives these addresses, whatever the name resolves to by now. */
export function makePinnedLookup(
  addresses: readonly LookupAddress[],
): (host: string, options: LookupOptions, done: LookupDone) => void {
  return (_host, options, done) => {
    const first = addresses[0];
    if (first === undefined) done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
    else if (options.all === true) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
}

export function isCertificateProblem(code: string): boolean {
  return /^(CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA)/.test(code);
}

/** The code of an error, such as ECONNREFUSED: short, and without the addresses that messages contain. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown';
}

export type Body =
  | { readonly status: 'read'; readonly bytes: Buffer }
  | { readonly status: 'too_large' }
  | { readonly status: 'broken'; readonly message: string };

/** Reads a stream to its end, up to `limit` bytes: an answer of `exchange`, or any other stream. */
export async function readCapped(stream: Readable, limit: number): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) return { status: 'too_large' };
      chunks.push(chunk);
    }
  } catch (error) {
    return { status: 'broken', message: codeOf(error) };
  }
  const why = brokenOff.get(stream);
  return why === undefined
    ? { status: 'read', bytes: Buffer.concat(chunks) }
    : { status: 'broken', message: why };
}

/** The most that is taken from a `Retry-After`: longer than anybody waits, and short enough to be added to a time. */
const longestAskedMs = 366 * 86_400_000;

/** A `Retry-After` (seconds or an HTTP date) as milliseconds from now, a year at most; undefined: absent or unreadable. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), longestAskedMs);
  const at = readDate(text);
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), longestAskedMs);
}

/** A date as epoch milliseconds, NaN where it is none: the three forms of RFC 9110 (usually `Sun, 06 Nov 1994 08:49:37 GMT`), with GMT also as mail writes it, and ISO 8601 with a zone. */
function readDate(text: string): number {
  if (httpDate.test(text) || isoDate.test(text)) return Date.parse(text);
  return asctime.test(text) ? Date.parse(`${text} GMT`) : NaN;
}

const httpDate =
  /^[A-Za-z]{3,9}, [0-9]{2}[ -][A-Za-z]{3}[ -]([0-9]{2}|[0-9]{4}) [0-9:]{8} (GMT|UTC|[+-]0000)$/;
const asctime = /^[A-Za-z]{3} [A-Za-z]{3} [ 0-9][0-9] [0-9:]{8} [0-9]{4}$/;
const isoDate = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$/;
