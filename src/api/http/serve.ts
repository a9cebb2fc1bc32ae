import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { giveWayBefore } from '../../model/give-way.js';
import { newId } from '../../model/ids.js';
import { isObject } from '../../model/json.js';
import { newTrail, traceIdOf } from '../../service/caller.js';
import { KeyLost } from '../../service/effect.js';
import { uncertain } from '../../service/refusal.js';
import { ClientGone, parseBody, readBody, type RawBody } from './body.js';
import { isPage, type Call, type Input, type Reply, type Route } from './call.js';
import type { ApiDeps } from '../deps.js';
import { hold, letGo, settle, takenOver, type Held } from './idempotency.js';
import { authenticate } from './identify.js';
import { problemPage } from '../pages/html.js';
import { barred, keptJson, notPermitted, withheld } from './permitted.js';
import { problem, problemBody, problemOf, statusOf, type Problem } from '../contract/problem.js';
import { jsonText } from './json-writing.js';
import { clientGone, hasGone, recordCall, recordFacts, recordGone } from './record.js';
import { validateBody, validateParams, validateQuery } from '../contract/validate.js';

export interface Arrived {
  /** The route's with its parameters, however the request spelled them: two requests for the same have the same. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly search: URLSearchParams;
}

/** One request, from the credential to the last byte. Whatever fails on the way is a problem answer, never a stack. */
export async function serve(
  deps: ApiDeps,
  route: Route,
  arrived: Arrived,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const call = newCall(deps, request);
  try {
    const reply = await through(call, route, arrived, startedAt);
    send(call, route, reply, response);
  } catch (error) {
    if (error instanceof ClientGone) await gone(call, route, startedAt);
    else send(call, route, explain(call, route, error), response);
  }
  const status = hasGone(call) ? clientGone : response.statusCode;
  deps.metrics.observe(route, request.method ?? '', status, performance.now() - startedAt);
}

/** Nobody can be answered; what happened is on record all the same. */
async function gone(call: Call, route: Route, startedAt: number): Promise<void> {
  try {
    if (route.recorded) await recordGone(call, route, startedAt);
  } catch (error) {
    const what = `${call.requestId}: a client that went away, which is not on record`;
    if (call.deps.isUnavailable(error)) call.deps.log(`${what}: ${String(error)}`);
    else call.deps.onInternalError(what, error);
  }
}

function newCall(deps: ApiDeps, request: IncomingMessage): Call {
  return {
    deps,
    request,
    requestId: newId('trc'),
    principal: null,
    signedInAs: null,
    effect: randomUUID().replaceAll('-', ''),
    held: null,
    trail: newTrail(),
    replayed: false,
    withheld: null,
    recordedFacts: 0,
  };
}

/** The answer, once everything about it is durable. */
async function through(call: Call, route: Route, arrived: Arrived, startedAt: number): Promise<Reply> {
  if (!route.recorded) return written(await respond(call, route, arrived, null));
  const raw = await received(call, route);
  if (raw.kind === 'problem') return recorded(call, route, raw, startedAt);
  const held = route.idempotent ? await hold(call, arrived.path, raw) : null;
  if (held !== null && held.kind !== 'held') {
    const told = await withheld(call, route, arrived, raw, held);
    return recorded(call, route, told === held ? told : openly(call, route, told, held), startedAt);
  }
  try {
    const refused =
      held?.tookOver === true
        ? await barredFrom(call, route, arrived).catch((error: unknown) => explain(call, route, error))
        : null;
    if (held !== null && refused !== null) {
      // Where the store is away, the hold runs out by itself.
      await letGo(call, held).catch((error: unknown) => explain(call, route, error));
      return await recorded(call, route, refused, startedAt);
    }
    const reply = await respond(call, route, arrived, raw)
      .then(written)
      .catch((error: unknown) => explain(call, route, error));
    const final = held === null ? reply : await kept(call, route, held, reply);
    const told = await toldNow(call, route, arrived, { raw, reply: final, startedAt }).catch(
      (error: unknown) => explain(call, route, error),
    );
    return await recorded(call, route, told, startedAt);
  } finally {
    held?.end();
  }
}

/**
 * Whoever may not ask for this any more, while what another attempt has made of it is not known: it is told so, and nothing is kept of
 * that, since who may ask again goes on with it. Null: it may ask.
 */
async function barredFrom(call: Call, route: Route, arrived: Arrived): Promise<Reply | null> {
  const told = await barred(call, route, arrived);
  return told === null ? null : openly(call, route, told, takenOver);
}

/** A repeat is told the kept answer and does nothing more: what came of the request is on record before it is kept. */
async function kept(call: Call, route: Route, held: Held, reply: Reply): Promise<Reply> {
  await recordFacts(call, route, reply);
  return settle(call, held, reply).catch((error: unknown) => explain(call, route, error));
}

/** Who a request has said that it is, is taken for so long. */
const goodForMs = 500;

interface Made {
  readonly raw: RawBody;
  readonly reply: Reply;
  readonly startedAt: number;
}

/**
 * What has taken a while is told to whoever may be told it by now, as a kept answer is. What it has done is done, and on record
 * as done by who asked. An empty answer shows nothing, and a stream asks by itself.
 */
async function toldNow(
  call: Call,
  route: Route,
  arrived: Arrived,
  { raw, reply, startedAt }: Made,
): Promise<Reply> {
  if (route.access === 'public' || performance.now() - startedAt < goodForMs) return reply;
  if (reply.kind === 'stream' || (reply.kind === 'answer' && reply.body === undefined)) return reply;
  // Whoever waited was asked again already, which is on record.
  if (reply.kind === 'problem' && reply.code === 'UNAUTHENTICATED') return reply;
  const now = { ...call };
  const denied = await authenticate(now);
  const told =
    denied !== null
      ? { ...denied, detail: 'your credential is not valid any more' }
      : route.idempotent
        ? await withheld(now, route, arrived, raw, reply)
        : (notPermitted(now, route) ?? reply);
  const open = told === reply ? reply : openly(call, route, told, reply);
  if (open !== told && !isRead(call))
    call.withheld = reply.kind === 'problem' ? statusOf(reply) : reply.status;
  return open;
}

/** `told` instead of `reply`, which may not be told any more: and that it may be done, where that is not certain. */
function openly(call: Call, { idempotent }: Route, told: Reply, reply: Reply): Reply {
  const isRefused = told.kind === 'problem' && told.code === 'UNAUTHENTICATED';
  if (told.kind !== 'problem' || isCertainlyNot(reply) || (isRead(call) && !isRefused)) return told;
  return { ...told, detail: endOf(call, told.detail, idempotent, isRefused ? 'repeat' : 'regain') };
}

/** A refusal of which nothing is done, also one that was kept: where a run stands that it names, the start is. */
function isCertainlyNot(reply: Reply): boolean {
  if (reply.kind === 'stream') return false;
  const status = reply.kind === 'problem' ? statusOf(reply) : reply.status;
  if (status < 400 || status >= 500) return false;
  const told = reply.kind === 'problem' ? { ...reply.extra, code: reply.code } : keptJson(reply);
  if (!isObject(told) || told['run'] !== undefined) return false;
  // Another attempt may do it; the run may have become stuck in the middle of it.
  return told['code'] !== 'IDEMPOTENCY_IN_PROGRESS' && told['code'] !== 'RUN_STUCK';
}

const json = 'application/json; charset=utf-8';

/** Once, and in pieces, for whoever asked and for its idempotency key. */
async function written(reply: Reply): Promise<Reply> {
  if (reply.kind !== 'answer' || reply.body === undefined || reply.media !== undefined) return reply;
  return { ...reply, body: await jsonText(reply.body), media: json };
}

/**
 * Nobody without a credential makes us read a body, and nobody acts with one that was good only when the body began: who
 * still had to send is authenticated again when all of it is there.
 */
async function received(call: Call, route: Route): Promise<RawBody | Problem> {
  const isPublic = route.access === 'public';
  const denied = isPublic ? ((await route.refuseUnread?.(call)) ?? null) : await authenticate(call);
  if (denied !== null) return denied;
  const hadCome = call.request.complete;
  const raw = await readBody(call.request, route.body);
  if (raw.kind === 'problem' || hadCome || isPublic) return raw;
  return (await authenticate(call)) ?? raw;
}

async function recorded(call: Call, route: Route, reply: Reply, startedAt: number): Promise<Reply> {
  await recordCall(call, route, reply, startedAt);
  return reply;
}

/** Permission before existence, the contract before the handler. */
async function respond(call: Call, route: Route, arrived: Arrived, raw: RawBody | null): Promise<Reply> {
  const denied = notPermitted(call, route);
  if (denied !== null) return denied;
  const params = validateParams(route.params, arrived.params);
  if (params.kind === 'problem') return params;
  const query = validateQuery(route.query, arrived.search);
  if (query.kind === 'problem') return query;
  await giveWayBefore(raw?.bytes.length ?? 0);
  const body = raw === null ? { kind: 'body' as const, body: undefined } : parseBody(raw, route.body);
  if (body.kind === 'problem') return body;
  const valid =
    route.body.kind === 'json' || route.body.kind === 'form'
      ? validateBody(route.body.schema, body.body)
      : { kind: 'valid' as const, value: body.body };
  if (valid.kind === 'problem') return valid;
  const given = await route.handle(call, {
    params: params.value,
    query: query.value,
    body: valid.value,
  } as Input<never, never, never>);
  return given.kind === 'refusal' ? problemOf(given) : given;
}

function isRead({ request: { method } }: Call): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** What is told of a request of which it is not certain here what became of it. */
function endOf(
  call: Call,
  why: string,
  isIdempotent: boolean,
  again: 'repeat' | 'regain' = 'repeat',
): string {
  if (isRead(call)) return `${why}: ask again`;
  const hasKey = isIdempotent && call.request.headers['idempotency-key'] !== undefined;
  return uncertain(why, hasKey ? again : 'look');
}

/** An unexpected failure, said without its inside. The log has the rest under the same trace id. */
function explain(call: Call, { idempotent, path }: Route, error: unknown): Reply {
  if (error instanceof KeyLost) return takenOver;
  if (call.deps.isUnavailable(error)) {
    const detail = endOf(call, 'the store of runs and records does not answer', idempotent);
    return problem('AUDIT_UNAVAILABLE', detail, {}, { 'Retry-After': '2' });
  }
  if (isEngineAway(error)) {
    const detail = endOf(call, 'the workflow engine does not answer', idempotent);
    return problem('ENGINE_UNAVAILABLE', detail, {}, { 'Retry-After': '2' });
  }
  call.deps.onInternalError(`${traceIdOf(call)}: ${call.request.method ?? ''} ${path}`, error);
  const failed = 'something unexpected failed, which the log has under this trace id';
  return problem('INTERNAL', endOf(call, failed, idempotent));
}

/** gRPC: deadline exceeded, unavailable. Known by shape, for the engine's client is not ours to import. */
function isEngineAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code: unknown = 'code' in error ? error.code : undefined;
  return ((code === 4 || code === 14) && 'details' in error) || isEngineAway(error.cause);
}

const always: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

function send(call: Call, route: Route, given: Reply, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) return;
  const reply = given.kind === 'problem' && isPage(route) ? problemPage(call, given) : given;
  for (const [name, value] of Object.entries(always)) response.setHeader(name, value);
  if (reply.kind === 'stream') {
    response.setHeader('Content-Type', reply.media);
    response.statusCode = 200;
    if (call.request.method === 'HEAD') return void response.end();
    return reply.run(response);
  }
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  if (reply.kind === 'problem')
    return end(
      response,
      statusOf(reply),
      'application/problem+json',
      JSON.stringify(problemBody(reply, traceIdOf(call))),
    );
  if (reply.body === undefined) return end(response, reply.status, null, '');
  end(response, reply.status, reply.media ?? json, reply.body as string | Buffer);
}

function end(response: ServerResponse, status: number, media: string | null, body: string | Buffer): void {
  response.statusCode = status;
  if (media !== null) response.setHeader('Content-Type', media);
  if (status !== 204) response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}
