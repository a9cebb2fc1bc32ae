import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import * as api from '../../model/api.js';
import type { AuditItem } from '../../audit/index.js';
import type { Principal } from '../../model/principal.js';
import { unlisted } from '../../service/audit/records.js';
import { principalOf, route, type Call, type Reply, type Route } from '../http/call.js';
import type { Follower } from '../../service/audit/feed.js';
import { invalid, problem } from '../contract/problem.js';
import type { Seat } from '../../service/seats.js';
import { runOf } from '../../service/audit/sight.js';

const heartbeatMs = 15_000;
/** With what the credential gave so long ago nothing is shown any more. */
const trustedMs = 5_000;
/** Records after which a credential may give something else. */
const changing: readonly string[] = ['key.revoked', 'policy.reloaded'];
/** A reader that takes nothing for so long is cut off; it comes back with `Last-Event-ID`. */
const stalledMs = 30_000;
/** Between its answer being decided and its first byte. */
const openingMs = 30_000;

type Query = z.output<typeof api.eventsQuery>;

export const eventRoutes: readonly Route[] = [
  route({
    id: 'events',
    method: 'GET',
    path: '/v1/events',
    tag: 'Audit',
    summary:
      'Records as they come (server-sent events): only what the caller may see. `Last-Event-ID` goes on after a log index',
    params: z.object({}),
    query: api.eventsQuery,
    answers: {
      200: {
        description: 'event name = record type, id = log index, data = the audit item',
        media: 'text/event-stream',
      },
    },
    errors: ['RATE_LIMITED'],
    handle: (call, { query }) => open(call, query),
  }),
];

async function open(call: Call, query: Query): Promise<Reply> {
  const last = call.request.headers['last-event-id'];
  if (last !== undefined && !(typeof last === 'string' && /^\d{1,15}$/.test(last))) {
    return invalid('the header Last-Event-ID is not a log index', [
      { pointer: '/headers/last-event-id', message: 'must be the `id` of an event' },
    ]);
  }
  const { feed } = call.deps;
  const media = 'text/event-stream; charset=utf-8';
  if (call.request.method === 'HEAD') return { kind: 'stream', media, run: (response) => response.end() };
  // Before anything is awaited: many that come at once are counted one by one.
  const seat = feed.streams.take(principalOf(call).id);
  if (seat === null) {
    const { each, all } = feed.streams;
    return problem(
      'RATE_LIMITED',
      `one principal may hold ${each} event streams open, and all together ${all}: close one, or follow several runs on one`,
      { limit: each },
      { 'Retry-After': '15' },
    );
  }
  // Given up again where the answer never begins.
  const opening = setTimeout(seat.leave, openingMs);
  opening.unref();
  try {
    // Without one, what comes from now on: this call's own record included.
    const after = last === undefined ? (await feed.size()) - 1 : Number(last);
    return {
      kind: 'stream',
      media,
      run: (response) => {
        clearTimeout(opening);
        stream(call, query, after, response, seat);
      },
    };
  } catch (error) {
    clearTimeout(opening);
    seat.leave();
    throw error;
  }
}

function stream(call: Call, query: Query, from: number, response: ServerResponse, seat: Seat): void {
  const { feed } = call.deps;
  const gone = new AbortController();
  const reader = { principal: principalOf(call), at: call.deps.now().getTime() };
  const follower = feed.follow(from, principalOf(call).id);
  // Nothing is written after it. What the reader does not take in time it does not get, so that it gives up its seat.
  const end = (): void => {
    if (gone.signal.aborted) return;
    gone.abort();
    response.end();
    setTimeout(() => response.destroy(), stalledMs).unref();
  };
  feed.closing.addEventListener('abort', end);
  const telling = { reader, follower, response, gone: gone.signal, end };
  const beat = setInterval(() => void heartbeat(call, telling), heartbeatMs);
  const leave = (): void => {
    feed.closing.removeEventListener('abort', end);
    clearInterval(beat);
    gone.abort();
    follower.leave();
    seat.leave();
  };
  response.on('close', leave);
  if (response.destroyed) return leave();
  if (feed.closing.aborted) return end();
  response.setHeader('X-Accel-Buffering', 'no');
  response.write(': open\n\n');
  void tell(call, query, telling);
}

interface Telling {
  /** Who reads, with the rights of `at`. */
  readonly reader: { principal: Principal; at: number };
  readonly follower: Follower;
  readonly response: ServerResponse;
  /** Nobody reads any more, or the stream was ended: nothing is written from here on. */
  readonly gone: AbortSignal;
  readonly end: () => void;
}

/** One piece after another: the next is not read before the reader has taken this one. */
async function tell(
  call: Call,
  query: Query,
  { reader, follower, response, gone, end }: Telling,
): Promise<void> {
  const wanted = (item: AuditItem): boolean =>
    (query.run === undefined || runOf(item) === query.run) &&
    (query.type === undefined
      ? !unlisted.some((type) => type === item.type)
      : query.type.some((type) => type === item.type));
  // Also of what the reader did not ask for, and until the next that it is shown.
  let isChanged = false;
  while (!gone.aborted) {
    const came = await follower.next(gone);
    isChanged ||= came.some(({ type }) => changing.includes(type));
    const items = came.filter(wanted);
    if (items.length === 0) continue;
    const isOld = call.deps.now().getTime() - reader.at > trustedMs;
    if (isOld || isChanged) {
      if (!(await patiently(() => readsStill(call, reader), gone))) return end();
      isChanged = false;
    }
    const visible = await patiently(() => call.deps.feed.sights.visible(reader.principal, items), gone);
    for (const item of visible ?? []) await write(response, item, gone);
  }
}

/** The store may be away for a while: nothing is left out because of that. Null: nobody waits any more. */
async function patiently<T>(ask: () => Promise<T>, gone: AbortSignal): Promise<T | null> {
  while (!gone.aborted) {
    try {
      return await ask();
    } catch {
      await delay(1_000, undefined, { signal: gone }).catch(() => undefined);
    }
  }
  return null;
}

async function write(response: ServerResponse, item: AuditItem, gone: AbortSignal): Promise<void> {
  const text = `id: ${item.index}\nevent: ${item.type}\ndata: ${JSON.stringify(item)}\n\n`;
  if (gone.aborted || response.write(text)) return;
  const stalled = AbortSignal.timeout(stalledMs);
  await once(response, 'drain', { signal: AbortSignal.any([gone, stalled]) }).catch(() => undefined);
  if (stalled.aborted && response.writableNeedDrain) response.destroy();
}

/** A credential that was revoked, or that nobody can judge now, ends the stream; rights that changed hold from here on. */
async function heartbeat(call: Call, { reader, response, gone, end }: Telling): Promise<void> {
  if (!(await readsStill(call, reader).catch(() => false))) return end();
  if (!gone.aborted && !response.writableNeedDrain) response.write(': heartbeat\n\n');
}

async function readsStill(call: Call, reader: Telling['reader']): Promise<boolean> {
  const { feed, authenticate, now } = call.deps;
  const at = now().getTime();
  const found = await feed.turns(() => authenticate(call.request.headers.authorization));
  if (found.status === 'refused') return false;
  reader.principal = found.principal;
  reader.at = at;
  return true;
}
