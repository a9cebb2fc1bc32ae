import type { ServiceFact } from '../../audit/index.js';
import type { AnonymousCall } from './anonymous.js';
import { traceIdOf, type CallFact } from '../../service/caller.js';
import { actorOf, type Call, type Reply, type Route } from './call.js';
import { statusOf } from '../contract/problem.js';
import type { ErrorCode } from '../../model/contract/errors.js';

/** Records what came of the call, and why it was refused, before its answer is kept. `recordCall` adds the rest. */
export async function recordFacts(call: Call, route: Route, reply: Reply): Promise<void> {
  const { facts } = call.trail;
  facts.push(...refusalFacts(call, route, reply));
  if (facts.length === 0) return;
  await append(call, facts);
  call.recordedFacts = facts.length;
}

/** Records the call, and why it was refused: durable before the answer is sent. Once more where another answer is sent instead. */
export async function recordCall(call: Call, route: Route, reply: Reply, startedAt: number): Promise<void> {
  const answered = reply.kind === 'problem' ? statusOf(reply) : reply.kind === 'answer' ? reply.status : 200;
  const isGone = hasGone(call);
  const code = codeOf(reply);
  const called: CallFact = {
    type: 'api.called',
    ...(route.permission === null ? {} : { permission: route.permission }),
    data: {
      method: call.request.method ?? '',
      route: route.path,
      status: isGone ? clientGone : answered,
      // The status of what was done, where the client has gone or may not see the answer any more.
      ...(isGone || call.withheldStatus !== null ? { answer: call.withheldStatus ?? answered } : {}),
      ...(code === null ? {} : { code }),
      requestId: call.requestId,
      durationMs: Math.round(performance.now() - startedAt),
      ...(call.replayed ? { replayed: 'true' } : {}),
    },
  };
  const { facts } = call.trail;
  const more = [...refusalFacts(call, route, reply), called];
  await append(call, [...facts, ...more]);
  facts.push(...more);
  call.recordedFacts = facts.length;
}

/** The status on record where the client did not wait for its answer; no answer ever has this status. */
export const clientGone = 499;

/** The client has gone: nobody can be answered. */
export function hasGone({ request }: Call): boolean {
  return request.socket.destroyed;
}

/** Records a client that went away before its whole request had come: nothing was done. */
export async function recordGone(call: Call, route: Route, startedAt: number): Promise<void> {
  const { method = '' } = call.request;
  const durationMs = Math.round(performance.now() - startedAt);
  const { requestId } = call;
  await append(call, [
    ...call.trail.facts,
    { type: 'request.refused', data: { why: 'client_gone', route: route.path } },
    {
      type: 'api.called',
      data: { method, route: route.path, status: clientGone, why: 'client_gone', requestId, durationMs },
    },
  ]);
}

/** Appends the facts that are not on record yet. Of callers without a credential, only the first of a source, kind and minute. */
async function append(call: Call, facts: readonly CallFact[]): Promise<void> {
  const placed = facts.map((fact, index) => toServiceFact(call, fact, index)).slice(call.recordedFacts);
  const seen = anonymousCall(call, facts);
  if (seen === null) return call.deps.chain.append(placed);
  const taken = call.deps.anonymous.take(seen);
  if (taken.status === 'counted') return;
  try {
    await call.deps.chain.append(placed);
  } catch (error) {
    taken.forget();
    throw error;
  }
}

const anonymousTypes: readonly CallFact['type'][] = ['authn.failed', 'request.refused', 'api.called'];

/** A call to be counted with others of its kind. Null: the caller is known, or the call did more than read or be refused. */
function anonymousCall(call: Call, facts: readonly CallFact[]): AnonymousCall | null {
  const [first] = facts;
  if (call.principal !== null || first === undefined) return null;
  if (facts.some((fact) => !anonymousTypes.includes(fact.type))) return null;
  const { reason, detail, code, why, route, status } = first.data;
  const data =
    first.type === 'authn.failed'
      ? { reason: reason ?? '', ...(detail === undefined ? {} : { detail }) }
      : first.type === 'request.refused'
        ? { code: code ?? why ?? '', route: route ?? '' }
        : { route: route ?? '', status: status ?? 0 };
  return {
    remote: call.request.socket.remoteAddress ?? '',
    kind: JSON.stringify([first.type, data]),
    fact: { type: first.type, data },
  };
}

/** The fact of a refusal, unless a more exact fact of it is there. A withheld answer is no refusal: it was done. */
function refusalFacts(call: Call, route: Route, reply: Reply): CallFact[] {
  const code = codeOf(reply);
  if (
    code === null ||
    call.withheldStatus !== null ||
    call.trail.recordedByRun ||
    call.trail.facts.some(({ type, data }) => refusalTypes.includes(type) || data.code === code)
  )
    return [];
  const data = { code, route: route.path };
  const { permission, why } = reply.kind === 'problem' ? reply.extra : {};
  if (code === 'FORBIDDEN' && typeof permission === 'string')
    return [{ type: 'authz.denied', permission, data: { ...data, permission } }];
  return [{ type: 'request.refused', data: { ...data, ...(typeof why === 'string' ? { why } : {}) } }];
}

/** The error code of the answer; null: it refuses nothing. */
function codeOf(reply: Reply): ErrorCode | null {
  return 'code' in reply ? (reply.code ?? null) : null;
}

const refusalTypes: readonly CallFact['type'][] = ['authn.failed', 'approval.refused', 'authz.denied'];

function toServiceFact(call: Call, { about: at, ...fact }: CallFact, index: number): ServiceFact {
  const about = at ?? call.trail.about;
  const actedBy = call.principal?.actedBy;
  return {
    ...fact,
    data: { ...fact.data, ...(actedBy === undefined ? {} : { actedBy }) },
    key: `${call.requestId}#${index}`,
    time: call.deps.now().toISOString(),
    actor: actorOf(call),
    causation: call.requestId,
    traceId: at?.traceId ?? traceIdOf(call),
    ...(about === null ? {} : { about: about.run, flow: about.flow, environment: about.environment }),
  };
}
