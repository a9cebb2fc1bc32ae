import { credentialEnded, uncertainDetail } from '../../service/refusal.js';
import { isObject } from '../../model/values/json.js';
import { statusOf } from '../contract/problem.js';
import { whyNotShown } from '../pages/session.js';
import type { RawBody } from './bodies/body.js';
import { isPage, type Arrived, type Call, type Reply, type Route } from './call.js';
import { authenticate } from './identify.js';
import { parseKept, refuseRoute, replyOrRefusal } from './permitted.js';

// What a caller is told whose rights have ended while its request was under way, or where nobody knows whether the request was done.

/** How long a caller's rights are trusted after they were checked. */
export const goodForMs = 500;

export interface Produced {
  readonly raw: RawBody;
  readonly reply: Reply;
  readonly startedAt: number;
}

/**
 * After a request that took a while, checks again whether the caller may still see the answer, as for a kept answer. What was
 * done stays done, and is on record under whoever asked. An empty answer shows nothing, and a stream checks by itself.
 */
export async function recheck(
  call: Call,
  route: Route,
  arrived: Arrived,
  { raw, reply, startedAt }: Produced,
): Promise<Reply> {
  if (performance.now() - startedAt < goodForMs) return reply;
  if (reply.kind === 'stream' || (reply.kind === 'answer' && reply.body === undefined)) return reply;
  if (isPage(route)) {
    const ended = await whyNotShown(call, reply);
    if (ended !== null) withhold(call, reply);
    return ended ?? reply;
  }
  if (route.access === 'public') return reply;
  // A call that waited was authenticated again already, and refused, which is on record.
  if (reply.kind === 'problem' && reply.code === 'UNAUTHENTICATED') return reply;
  const now = { ...call };
  const denied = await authenticate(now);
  const told =
    denied !== null
      ? { ...denied, detail: credentialEnded }
      : route.idempotent
        ? await replyOrRefusal(now, route, arrived, raw, reply)
        : (refuseRoute(now, route) ?? reply);
  const open = told === reply ? reply : sayWhatIsKept(call, route, told, reply);
  if (open !== told) withhold(call, reply);
  return open;
}

/** Notes the status of what was done, where its caller may not see the answer any more. */
function withhold(call: Call, reply: Exclude<Reply, { readonly kind: 'stream' }>): void {
  if (!isRead(call)) call.withheldStatus = reply.kind === 'problem' ? statusOf(reply) : reply.status;
}

/** The refusal `told`, given instead of `reply`, with what may have come of the request. */
function sayWhatIsKept(call: Call, route: Route, told: Reply, reply: Reply): Reply {
  // Under an Idempotency-Key an attempt before this one may have done it.
  const isUnkept = reply.kind === 'problem' && reply.isUnkept === true && call.heldKey === null;
  if (told.kind !== 'problem' || !isUnkept) return sayIfUncertain(call, route, told, reply);
  return { ...told, detail: `${told.detail}; nothing of this request is kept` };
}

/** The refusal `told`, given instead of `reply`; where the request may have been done all the same, its detail says so. */
export function sayIfUncertain(call: Call, { idempotent }: Route, told: Reply, reply: Reply): Reply {
  const isRefused = told.kind === 'problem' && told.code === 'UNAUTHENTICATED';
  if (told.kind !== 'problem' || isCertainlyNotDone(reply) || (isRead(call) && !isRefused)) return told;
  return { ...told, detail: uncertainText(call, told.detail, idempotent, isRefused ? 'repeat' : 'regain') };
}

/** The answer, also a kept one, is a refusal, and nothing was done. A refusal that names a run is not: that run was started. */
function isCertainlyNotDone(reply: Reply): boolean {
  if (reply.kind === 'stream') return false;
  const status = reply.kind === 'problem' ? statusOf(reply) : reply.status;
  if (status < 400 || status >= 500) return false;
  const told = reply.kind === 'problem' ? { ...reply.extra, code: reply.code } : parseKept(reply);
  if (!isObject(told) || told['run'] !== undefined) return false;
  // With these codes another attempt may be doing it, or the run may have become stuck in the middle.
  return told['code'] !== 'IDEMPOTENCY_IN_PROGRESS' && told['code'] !== 'RUN_STUCK';
}

export function isRead({ request: { method } }: Call): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The detail of an answer where it is not certain whether the request was done. */
export function uncertainText(
  call: Call,
  why: string,
  isIdempotent: boolean,
  again: 'repeat' | 'regain' = 'repeat',
): string {
  if (isRead(call)) return `${why}: ask again`;
  const hasKey = isIdempotent && call.request.headers['idempotency-key'] !== undefined;
  return uncertainDetail(why, hasKey ? again : 'look');
}
