import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import type { AuditItem } from '../../audit/index.js';
import type { Principal } from '../../model/principal.js';
import { whenStopping } from '../../model/when-stopping.js';
import { unlistedTypes } from '../../service/audit/records.js';
import { principalOf, route, type Call, type Reply, type Route } from '../http/call.js';
import type { Follower } from '../../service/audit/feed.js';
import { invalid, problem } from '../contract/problem.js';
import type { Seat } from '../../service/seats.js';
import { runOf } from '../../service/audit/sight.js';

const heartbeatMs = 15_000;
/** After this time the reader's rights are checked again before anything more is shown. */
const trustedMs = 5_000;
/** Records after which a credential may give other rights. */
const changingTypes: readonly string[] = ['key.revoked', 'policy.reloaded'];
/** A reader that takes nothing for so long is cut off; it can come back with `Last-Event-ID`. */
const stalledMs = 30_000;
/** How long the seat is kept for an answer that has not begun. */
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
    handle: (call, { query }) => openStream(call, query),
  }),
];

async function openStream(call: Call, query: Query): Promise<Reply> {
  const last = call.request.headers['last-event-id'];
  if (last !== undefined && !(typeof last === 'string' && /^\d{1,15}$/.test(last))) {
    return invalid('the header Last-Event-ID is not a log index', [
      { pointer: '/headers/last-event-id', message: 'must be the `id` of an event' },
    ]);
  }
  const { feed } = call.deps;
  const media = 'text/event-stream; charset=utf-8';
  if (call.request.method === 'HEAD') return { kind: 'stream', media, run: (response) => response.end() };
  // Taken before anything is awaited, so that many requests at the same time are counted correctly.
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
  // The seat is given up if the answer never begins.
  const opening = setTimeout(seat.leave, openingMs);
  opening.unref();
  try {
    // Without `Last-Event-ID`, what comes from now on, including the record of this call.
    const after = last === undefined ? (await feed.size()) - 1 : Number(last);
    return {
      kind: 'stream',
      media,
      run: (response) => {
        clearTimeout(opening);
        runStream(call, query, after, response, seat);
      },
    };
  } catch (error) {
    clearTimeout(opening);
    seat.leave();
    throw error;
  }
}

function runStream(call: Call, query: Query, from: number, response: ServerResponse, seat: Seat): void {
  const { feed } = call.deps;
  const gone = new AbortController();
  const reader = { principal: principalOf(call), at: call.deps.now().getTime() };
  const follower = feed.follow(from, principalOf(call).id);
  // Nothing is written after this. A reader that does not take the rest in time is cut off, so that its seat becomes free.
  const end = (): void => {
    if (gone.signal.aborted) return;
    gone.abort();
    response.end();
    setTimeout(() => response.destroy(), stalledMs).unref();
  };
  const unlisten = whenStopping(feed.closing, end);
  const open = { reader, follower, response, gone: gone.signal, end };
  const beat = setInterval(() => void heartbeat(call, open), heartbeatMs);
  const leave = (): void => {
    unlisten();
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
  void sendRecords(call, query, open);
}

interface OpenStream {
  /** Who reads, with the rights as of `at` (milliseconds). */
  readonly reader: { principal: Principal; at: number };
  readonly follower: Follower;
  readonly response: ServerResponse;
  /** Aborted when nobody reads any more, or the stream was ended: nothing more is written. */
  readonly gone: AbortSignal;
  readonly end: () => void;
}

/** Sends piece after piece: the next is not read before the reader has taken this one. */
async function sendRecords(
  call: Call,
  query: Query,
  { reader, follower, response, gone, end }: OpenStream,
): Promise<void> {
  const wanted = (item: AuditItem): boolean =>
    (query.run === undefined || runOf(item) === query.run) &&
    (query.type === undefined
      ? !unlistedTypes.some((type) => type === item.type)
      : query.type.some((type) => type === item.type));
  // Set by any record, also by those that the reader did not ask for, and kept until its rights are checked again.
  let isChanged = false;
  while (!gone.aborted) {
    const came = await follower.next(gone);
    isChanged ||= came.some(({ type }) => changingTypes.includes(type));
    const items = came.filter(wanted);
    if (items.length === 0) continue;
    const isOld = call.deps.now().getTime() - reader.at > trustedMs;
    if (isOld || isChanged) {
      if (!(await retryUntilGone(() => reauthenticate(call, reader), gone))) return end();
      isChanged = false;
    }
    const visible = await retryUntilGone(() => call.deps.feed.sights.visible(reader.principal, items), gone);
    for (const item of visible ?? []) await write(response, item, gone);
  }
}

/** Asks again while the store does not answer, so that nothing is left out. Null: the reader has gone. */
async function retryUntilGone<T>(ask: () => Promise<T>, gone: AbortSignal): Promise<T | null> {
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

/** Ends the stream if the credential is revoked or cannot be checked now; changed rights hold from here on. */
async function heartbeat(call: Call, { reader, response, gone, end }: OpenStream): Promise<void> {
  if (!(await reauthenticate(call, reader).catch(() => false))) return end();
  if (!gone.aborted && !response.writableNeedDrain) response.write(': heartbeat\n\n');
}

async function reauthenticate(call: Call, reader: OpenStream['reader']): Promise<boolean> {
  const { feed, authenticate, now } = call.deps;
  const at = now().getTime();
  const found = await feed.turns(() => authenticate(call.request.headers.authorization));
  if (found.status === 'refused') return false;
  reader.principal = found.principal;
  reader.at = at;
  return true;
}
