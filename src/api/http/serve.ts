import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { RightsChanged } from '../../auth/index.js';
import { giveWayBefore } from '../../model/give-way.js';
import { newId } from '../../model/names/ids.js';
import { newTrail, traceIdOf } from '../../service/caller.js';
import { OutOfTurn } from '../../service/changes.js';
import { KeyLost } from '../../service/kept-result.js';
import { isKeyUnopened } from '../../service/values.js';
import { ClientGone, parseBody, readBody, type RawBody } from './bodies/body.js';
import { isPage, principalOf, type Arrived, type Call, type Input, type Reply, type Route } from './call.js';
import type { ApiDeps } from '../deps.js';
import { holdKey, letGo, settle, takenOver, type KeyHold } from './idempotency.js';
import { authenticate } from './identify.js';
import { problemPage } from '../pages/html.js';
import { refuseAccess, refuseRoute, replyOrRefusal } from './permitted.js';
import { goodForMs, isRead, recheck, sayIfUncertain, uncertainText, type Produced } from './recheck.js';
import { problem, problemBody, problemOf, statusOf, type Problem } from '../contract/problem.js';
import { jsonText } from './bodies/json-writing.js';
import { unlessStopped } from './stopping.js';
import { clientGone, hasGone, recordCall, recordFacts, recordGone } from './record.js';
import { validateBody, validateParams, validateQuery } from '../contract/validate.js';

/**
 * Serves a request, from the credential to the last byte. Whatever fails is answered with a problem, never with a stack trace.
 */
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
    const answered = answerDurably(call, route, arrived, startedAt);
    const reply = await unlessStopped(deps.feed.closing, answered, () => cutOff(call, route));
    send(call, route, reply, response);
  } catch (error) {
    if (error instanceof ClientGone) await recordClientGone(call, route, startedAt);
    else send(call, route, explain(call, route, error), response);
  } finally {
    call.leaveBody();
  }
  const status = hasGone(call) ? clientGone : response.statusCode;
  deps.metrics.observe(route, request.method ?? '', status, performance.now() - startedAt);
}

/** The answer to a request that has not come to its end when the process does. What it did is on record, where it did something. */
function cutOff(call: Call, { idempotent, path }: Route): Reply {
  call.deps.log(`${traceIdOf(call)}: ${call.request.method ?? ''} ${path} is cut off, because the API stops`);
  const detail = uncertainText(call, 'this process of the API is stopping', idempotent);
  return problem('AUDIT_UNAVAILABLE', detail, {}, { 'Retry-After': '2' });
}

/** Nobody can be answered, but the call is put on record. */
async function recordClientGone(call: Call, route: Route, startedAt: number): Promise<void> {
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
    credential: null,
    signedInAs: null,
    idBase: randomUUID().replaceAll('-', ''),
    heldKey: null,
    leaveBody: () => undefined,
    trail: newTrail(),
    replayed: false,
    withheldStatus: null,
    recordedFacts: 0,
  };
}

/** Gives the answer once everything about it is durable. */
async function answerDurably(call: Call, route: Route, arrived: Arrived, startedAt: number): Promise<Reply> {
  if (!route.recorded) return writeBody(await respond(call, route, arrived, null));
  const raw = await receive(call, route);
  if (raw.kind === 'problem') return recordReply(call, route, raw, startedAt);
  const held = route.idempotent ? await holdKey(call, arrived.path, raw) : null;
  if (held !== null && held.kind !== 'held') {
    const told = await replyOrRefusal(call, route, arrived, raw, held);
    return told === held
      ? recordRechecked(call, route, arrived, { raw, reply: told, startedAt })
      : recordReply(call, route, sayIfUncertain(call, route, told, held), startedAt);
  }
  try {
    const refused =
      held?.tookOver === true
        ? await refuseTakeover(call, route, arrived).catch((error: unknown) => explain(call, route, error))
        : null;
    if (held !== null && refused !== null) {
      // If the store is away, the hold runs out by itself. Any other failure is logged.
      await letGo(call, held).catch((error: unknown) => explain(call, route, error));
      return await recordReply(call, route, refused, startedAt);
    }
    const reply = await respond(call, route, arrived, raw)
      .then(writeBody)
      .catch((error: unknown) => explain(call, route, error));
    const final = held === null ? reply : await keepReply(call, route, held, { raw, reply });
    return await recordRechecked(call, route, arrived, { raw, reply: final, startedAt });
  } finally {
    held?.end();
  }
}

/**
 * Why a caller may not take over the request of an earlier attempt, of which nobody knows what it has done: the caller has lost
 * the right to ask. That answer is not kept, so that whoever may ask again can go on with the request. Null: it may.
 */
async function refuseTakeover(call: Call, route: Route, arrived: Arrived): Promise<Reply | null> {
  const told = await refuseAccess(call, route, arrived);
  return told === null ? null : sayIfUncertain(call, route, told, takenOver);
}

/** Keeps the answer for repeats. Since a repeat records nothing more, what came of the request is put on record before. */
async function keepReply(
  call: Call,
  route: Route,
  held: KeyHold,
  given: { readonly raw: RawBody; readonly reply: Reply },
): Promise<Reply> {
  await recordFacts(call, route, given.reply);
  return settle(call, route, held, given).catch((error: unknown) => explain(call, route, error));
}

/** Records the reply that its caller may see, after a request or a record that took a while: another where they may not any more. */
async function recordRechecked(
  call: Call,
  route: Route,
  arrived: Arrived,
  produced: Produced,
): Promise<Reply> {
  const check = (reply: Reply): Promise<Reply> =>
    recheck(call, route, arrived, { ...produced, reply }).catch((error: unknown) =>
      explain(call, route, error),
    );
  const told = await check(produced.reply);
  const checkedAt = performance.now();
  await recordCall(call, route, told, produced.startedAt);
  // What is told instead of an answer is asked for no more.
  if (told !== produced.reply || performance.now() - checkedAt < goodForMs) return told;
  const later = await check(told);
  return later === told ? told : recordReply(call, route, later, produced.startedAt);
}

const jsonMedia = 'application/json; charset=utf-8';

/** The reply with its body as text, written once for the client and for the idempotency key. */
async function writeBody(reply: Reply): Promise<Reply> {
  if (reply.kind !== 'answer' || reply.body === undefined || reply.media !== undefined) return reply;
  return { ...reply, body: await jsonText(reply.body), media: jsonMedia };
}

/**
 * Reads the body, but only of callers with a valid credential. If the body was still on its way, the caller is authenticated
 * again when all of it has come: the credential must be valid then, not only when the body began.
 */
async function receive(call: Call, route: Route): Promise<RawBody | Problem> {
  const isPublic = route.access === 'public';
  const denied = isPublic ? ((await route.refuseUnread?.(call)) ?? null) : await authenticate(call);
  if (denied !== null) return denied;
  const hadCome = call.request.complete;
  const held = isPublic ? null : call.deps.bodies.open(principalOf(call).id);
  if (held !== null) call.leaveBody = held.leave;
  const raw = await readBody(call.request, route.body, held);
  if (raw.kind === 'problem' || hadCome || isPublic) return raw;
  return (await authenticate(call)) ?? raw;
}

async function recordReply(call: Call, route: Route, reply: Reply, startedAt: number): Promise<Reply> {
  await recordCall(call, route, reply, startedAt);
  return reply;
}

/** Checks the permission before anything is looked up, and the contract before the handler is called. */
async function respond(call: Call, route: Route, arrived: Arrived, raw: RawBody | null): Promise<Reply> {
  const denied = refuseRoute(call, route);
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

/** The answer to an unexpected failure, without details of it: the log has them under the same trace id. */
function explain(call: Call, { idempotent, path }: Route, error: unknown): Reply {
  if (error instanceof KeyLost) return takenOver;
  if (error instanceof RightsChanged || error instanceof OutOfTurn) {
    const detail = `${error.message}: nothing of this attempt is kept, try again`;
    return { ...problem('AUDIT_UNAVAILABLE', detail, {}, { 'Retry-After': '2' }), isUnkept: true };
  }
  if (call.deps.isUnavailable(error)) {
    const detail = uncertainText(call, 'the store of runs and records does not answer', idempotent);
    return problem('AUDIT_UNAVAILABLE', detail, {}, { 'Retry-After': '2' });
  }
  if (isEngineAway(error)) {
    const detail = uncertainText(call, 'the workflow engine does not answer', idempotent);
    return problem('ENGINE_UNAVAILABLE', detail, {}, { 'Retry-After': '2' });
  }
  call.deps.onInternalError(`${traceIdOf(call)}: ${call.request.method ?? ''} ${path}`, error);
  if (isKeyUnopened(error)) {
    const { message } = error;
    const detail = isRead(call)
      ? `${message}; ask again once it opens`
      : uncertainText(call, message, idempotent);
    return problem('KEY_UNOPENED', detail, {}, { 'Retry-After': '2' });
  }
  const failed = 'something unexpected failed: see the log under this trace id';
  return problem('INTERNAL', uncertainText(call, failed, idempotent));
}

/** gRPC's `deadline exceeded` or `unavailable`, recognised by shape: this room may not import the engine's client. */
function isEngineAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code: unknown = 'code' in error ? error.code : undefined;
  return ((code === 4 || code === 14) && 'details' in error) || isEngineAway(error.cause);
}

const alwaysSent: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

function send(call: Call, route: Route, given: Reply, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) return;
  // A process that stops waits until its connections are closed.
  if (call.deps.feed.closing.aborted) response.setHeader('Connection', 'close');
  const reply = given.kind === 'problem' && isPage(route) ? problemPage(call, given) : given;
  for (const [name, value] of Object.entries(alwaysSent)) response.setHeader(name, value);
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
  end(response, reply.status, reply.media ?? jsonMedia, reply.body as string | Buffer);
}

function end(response: ServerResponse, status: number, media: string | null, body: string | Buffer): void {
  response.statusCode = status;
  if (media !== null) response.setHeader('Content-Type', media);
  if (status !== 204) response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}
