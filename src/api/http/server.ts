import express, { type Express, type Request, type Response } from 'express';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { approvalLinkRoutes } from '../routes/links.js';
import { pageRoutes } from '../pages/pages.js';
import { absenceRoutes } from '../routes/absences.js';
import { approvalRoutes } from '../routes/approvals.js';
import { auditRoutes } from '../routes/audit.js';
import { batchRoutes } from '../routes/batch.js';
import { calledPath } from './called-path.js';
import { claimRoutes } from '../routes/claims.js';
import { answer, route, type Method, type Route } from './call.js';
import type { ApiDeps } from '../deps.js';
import { eventRoutes } from '../routes/events.js';
import { flowRoutes } from '../routes/flows.js';
import { viewRoutes } from '../routes/views.js';
import { operationRoutes } from '../routes/operation.js';
import { principalRoutes } from '../routes/principals.js';
import { signingKeyRoutes } from '../routes/signing-keys.js';
import { problem } from '../contract/problem.js';
import { runRoutes } from '../routes/runs.js';
import { serve } from './serve.js';
import { slackRoutes } from '../slack/slack.js';
import { statsRoutes } from '../routes/stats.js';
import { startRoutes } from '../routes/start.js';
import { transitionRoutes } from '../routes/transitions.js';

/** The contract: every route there is. */
export const routes: readonly Route[] = [
  ...flowRoutes,
  ...startRoutes,
  ...runRoutes,
  ...transitionRoutes,
  // Before those with an id in their path.
  ...viewRoutes,
  ...batchRoutes,
  ...statsRoutes,
  ...approvalRoutes,
  ...claimRoutes,
  ...absenceRoutes,
  ...approvalLinkRoutes,
  ...auditRoutes,
  ...eventRoutes,
  ...principalRoutes,
  ...signingKeyRoutes,
  ...pageRoutes,
  ...slackRoutes,
  ...operationRoutes(() => routes),
];

/** How long the head of a request may take, and all of it; how often that is looked at. */
interface Haste {
  readonly headMs: number;
  readonly requestMs: number;
  readonly lookMs: number;
}

const haste: Haste = { headMs: 15_000, requestMs: 30_000, lookMs: 2_000 };

/** The HTTP server over everything that `deps` gives. Not listening yet. */
export function makeServer(deps: ApiDeps, { headMs, requestMs, lookMs } = haste): Server {
  const times = { headersTimeout: headMs, requestTimeout: requestMs, connectionsCheckingInterval: lookMs };
  const server = createServer(times, makeApp(deps));
  server.keepAliveTimeout = 65_000;
  server.on('clientError', refuseGarbage);
  return server;
}

function makeApp(deps: ApiDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  for (const one of routes) app[verbs[one.method]](pattern(one.path), handler(deps, one));
  for (const path of new Set(routes.map((one) => one.path)))
    app.all(pattern(path), handler(deps, otherMethod(path)));
  app.use(handler(deps, unknownPath('principal')));
  // Express itself fails only on a path that cannot be decoded.
  app.use((_error: unknown, request: Request, response: Response, _next: () => void) => {
    handler(deps, unknownPath('principal'))(request, response);
  });
  return app;
}

const verbs = { GET: 'get', POST: 'post', PUT: 'put', DELETE: 'delete' } as const satisfies Record<
  Method,
  string
>;

function pattern(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function handler(deps: ApiDeps, one: Route): (request: Request, response: Response) => void {
  return (request, response) => {
    // The path as the routes are looked up by it: of an address in absolute form it is a part.
    const isOpen = one.id === '' && !request.path.startsWith('/v1');
    const found = isOpen ? { ...one, access: 'public' as const } : one;
    const params = { ...request.params } as Record<string, string>;
    const arrived = { path: calledPath(one.path, params), params, search: queryOf(request.originalUrl) };
    // Written to in a wrong way. Nobody listening, the process that serves all others would end.
    response.on('error', (error) => {
      deps.onInternalError(`the answer to ${one.method} ${one.path}`, error);
      response.destroy();
    });
    void serve(deps, found, arrived, request, response);
  };
}

function queryOf(target: string): URLSearchParams {
  const [sent = ''] = target.split('#', 1);
  const at = sent.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : sent.slice(at + 1));
}

const anyQuery = z.record(z.string(), z.unknown());
const nowhere = {
  id: '',
  method: 'GET',
  tag: '',
  summary: '',
  params: z.looseObject({}),
  query: anyQuery,
  answers: { 204: { description: 'the methods that are offered' } },
  recorded: true,
  body: { kind: 'ignored' },
} as const;

/** The path is known, the method is not offered. */
function otherMethod(path: string): Route {
  const offered: readonly string[] = routes.filter((one) => one.path === path).map((one) => one.method);
  const tag = routes.find((one) => one.path === path)?.tag ?? '';
  const allow = [...offered, ...(offered.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  return route({
    ...nowhere,
    path,
    tag,
    handle: (call) =>
      Promise.resolve(
        call.request.method === 'OPTIONS'
          ? answer(204, undefined, { Allow: allow })
          : problem(
              'METHOD_NOT_ALLOWED',
              `${String(call.request.method)} is not offered here: use ${allow}`,
              {},
              { Allow: allow },
            ),
      ),
  });
}

function unknownPath(access: Route['access']): Route {
  return route({
    ...nowhere,
    path: '(unknown)',
    access,
    handle: () => Promise.resolve(problem('NOT_FOUND', 'there is nothing at this path: see /docs')),
  });
}

/** What is not HTTP, and what does not come to its end in time, goes no further. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  // A route may wait for the rest of it: it is told that nobody sends any more, and records that.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return void socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n', () =>
      socket.destroy(),
    );
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const body = JSON.stringify({
    type: 'urn:countersign:problem:MALFORMED',
    title: 'the request is not valid HTTP',
    status: Number(status.slice(0, 3)),
    code: 'MALFORMED',
  });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
