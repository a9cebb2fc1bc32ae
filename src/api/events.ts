import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import * as api from '../model/api.js';
import type { AuditItem } from '../audit/index.js';
import { getVisibleRun } from '../store/runs.js';
import { viewerOf } from '../store/visibility.js';
import type { Principal } from '../model/principal.js';
import { unlisted } from './audit.js';
import { principalOf, route, type Call, type Reply, type Route } from './call.js';
import { invalid } from './problem.js';

const heartbeatMs = 15_000;
const batch = 200;
/** A reader that does not keep up is cut off; it comes back with `Last-Event-ID`. */
const maxBuffered = 4 * 1_048_576;

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
  // Without one, what comes from now on: this call's own record included.
  const after = last === undefined ? (await call.deps.feed.size()) - 1 : Number(last);
  return {
    kind: 'stream',
    media: 'text/event-stream; charset=utf-8',
    run: (response) => stream(call, query, after, response),
  };
}

function stream(call: Call, query: Query, from: number, response: ServerResponse): void {
  const { feed } = call.deps;
  const sight = makeSight(call);
  let after = from;
  let reading = false;
  let again = false;
  const read = async (): Promise<void> => {
    for (let more = true; more && !response.destroyed;) {
      const items = await feed.read({
        ...(query.type === undefined ? { notType: unlisted } : { type: query.type }),
        afterIndex: after,
        limit: batch,
      });
      for (const item of items) {
        if (await sight.sees(item, query.run)) write(response, item);
        after = item.index;
      }
      more = items.length === batch;
    }
  };
  const wake = (): void => {
    again = true;
    if (reading) return;
    reading = true;
    void (async () => {
      while (again && !response.destroyed) {
        again = false;
        // The store is away: what is missed is read when it is back.
        await read().catch(() => undefined);
      }
      reading = false;
    })();
  };
  const unsubscribe = feed.subscribe(wake);
  const beat = setInterval(() => void heartbeat(call, sight, response), heartbeatMs);
  const end = (): void => void response.end();
  feed.closing.addEventListener('abort', end);
  response.on('close', () => {
    feed.closing.removeEventListener('abort', end);
    clearInterval(beat);
    unsubscribe();
  });
  response.setHeader('X-Accel-Buffering', 'no');
  response.write(': open\n\n');
  wake();
}

function write(response: ServerResponse, item: AuditItem): void {
  if (response.destroyed) return;
  response.write(`id: ${item.index}\nevent: ${item.type}\ndata: ${JSON.stringify(item)}\n\n`);
  if (response.writableLength > maxBuffered) response.destroy();
}

/** A credential that was revoked ends the stream; rights that changed hold from here on. */
async function heartbeat(call: Call, sight: Sight, response: ServerResponse): Promise<void> {
  try {
    const found = await call.deps.authenticate(call.request.headers.authorization);
    if (found.status === 'refused') return void response.end();
    sight.as(found.principal);
    response.write(': heartbeat\n\n');
  } catch {
    response.end();
  }
}

interface Sight {
  sees(item: AuditItem, run: string | undefined): Promise<boolean>;
  as(principal: Principal): void;
}

/** What belongs to a run is for those who may see it; all else is for holders of `audit.read`. */
function makeSight(call: Call): Sight {
  let principal = principalOf(call);
  const seen = new Set<string>();
  return {
    as: (found) => {
      principal = found;
      seen.clear();
    },
    sees: async (item, only) => {
      const run = item.run === '' ? item.about : item.run;
      if (only !== undefined && run !== only) return false;
      if (principal.permissions.includes('audit.read')) return true;
      if (run === '') return false;
      if (seen.has(run)) return true;
      // A run that is not seen now may be later: only the yes is remembered.
      const visible = (await getVisibleRun(call.deps.pool, run, viewerOf(principal))) !== null;
      if (visible) seen.add(run);
      return visible;
    },
  };
}
