import express, { type Express, type Request, type Response } from 'express';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { approvalLinkRoutes } from '../routes/approvals/links.js';
import { pageRoutes } from '../pages/pages.js';
import { absenceRoutes } from '../routes/absences.js';
import { approvalRoutes } from '../routes/approvals/approvals.js';
import { auditRoutes } from '../routes/audit.js';
import { batchRoutes } from '../routes/approvals/batch.js';
import { calledPath } from './called-path.js';
import { claimRoutes } from '../routes/approvals/claims.js';
import { answer, pageTag, route, type Method, type Route } from './call.js';
import type { ApiDeps } from '../deps.js';
import { eventRoutes } from '../routes/events.js';
import { flowRoutes } from '../routes/flows.js';
import { viewRoutes } from '../routes/approvals/views.js';
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
  // These come before the routes that have an id at the same place of their path.
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

/** How long the head of a request may take, and the whole request; and how often that is checked. */
interface RequestTimes {
  readonly headMs: number;
  readonly requestMs: number;
  readonly lookMs: number;
}

const requestTimes: RequestTimes = { headMs: 15_000, requestMs: 30_000, lookMs: 2_000 };

/** Makes the HTTP server, which does not listen yet. */
export function makeServer(deps: ApiDeps, { headMs, requestMs, lookMs } = requestTimes): Server {
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
  for (const route of routes) app[verbs[route.method]](patternOf(route.path), makeHandler(deps, route));
  for (const path of new Set(routes.map((route) => route.path)))
    app.all(patternOf(path), makeHandler(deps, otherMethodRoute(path)));
  app.use(makeHandler(deps, unknownPathRoute('principal')));
  // Express itself fails only on a path that cannot be decoded.
  app.use((_error: unknown, request: Request, response: Response, _next: () => void) => {
    makeHandler(deps, unknownPathRoute('principal'))(request, response);
  });
  return app;
}

const verbs = { GET: 'get', POST: 'post', PUT: 'put', DELETE: 'delete' } as const satisfies Record<
  Method,
  string
>;

function patternOf(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function makeHandler(deps: ApiDeps, route: Route): (request: Request, response: Response) => void {
  return (request, response) => {
    // Not `request.url`: that may be a whole address, of which the path is only a part.
    const isOpen = route.id === '' && !request.path.startsWith('/v1');
    const tag = isUnderPage(request.path) ? pageTag : route.tag;
    const found = isOpen ? { ...route, tag, access: 'public' as const } : route;
    const params = { ...request.params } as Record<string, string>;
    const arrived = { path: calledPath(route.path, params), params, search: queryOf(request.originalUrl) };
    // A fault in writing. Without a listener it would end the process, which serves all others.
    response.on('error', (error) => {
      deps.onInternalError(`the answer to ${route.method} ${route.path}`, error);
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
const noRoute = {
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

/** The route for a known path with a method that it does not offer. */
function otherMethodRoute(path: string): Route {
  const offered: readonly string[] = routes
    .filter((route) => route.path === path)
    .map((route) => route.method);
  const tag = routes.find((route) => route.path === path)?.tag ?? '';
  const allow = [...offered, ...(offered.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  return route({
    ...noRoute,
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

const pageRoots = new Set(pageRoutes.map(({ path }) => path.split('/')[1]));

/** Whoever comes to such a path is a person with a browser, also where nothing is there. */
function isUnderPage(path: string): boolean {
  return pageRoots.has(path.split(/[/?]/)[1]);
}

function unknownPathRoute(access: Route['access']): Route {
  return route({
    ...noRoute,
    path: '(unknown)',
    access,
    handle: ({ request }) =>
      Promise.resolve(
        problem(
          'NOT_FOUND',
          isUnderPage(request.url ?? '')
            ? 'there is nothing at this address: see that it is whole, and that nothing more stands behind it'
            : 'there is nothing at this path: see /docs',
        ),
      ),
  });
}

/** Refuses what is not HTTP, and a request that does not come to its end in time. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  // A route may be waiting for the rest of the request: closing the connection tells it, and it records that.
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
