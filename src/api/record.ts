import type { ServiceFact } from '../audit/index.js';
import { actorOf, traceIdOf, type Call, type CallFact, type Reply, type Route } from './call.js';
import { statusOf } from './problem.js';

/** Durable before the answer is sent: the call itself, and whatever it was refused for. */
export async function recordCall(call: Call, route: Route, reply: Reply, startedAt: number): Promise<void> {
  const status = reply.kind === 'problem' ? statusOf(reply) : reply.kind === 'answer' ? reply.status : 200;
  const code = reply.kind === 'problem' ? { code: reply.code } : {};
  const called: CallFact = {
    type: 'api.called',
    ...(route.permission === null ? {} : { permission: route.permission }),
    data: {
      method: call.request.method ?? '',
      route: route.path,
      status,
      ...code,
      requestId: call.requestId,
      durationMs: Math.round(performance.now() - startedAt),
      ...(call.replayed ? { replayed: 'true' } : {}),
      ...(call.principal?.actedBy === undefined ? {} : { actedBy: call.principal.actedBy }),
    },
  };
  const facts = [...call.facts, ...refusals(call, route, reply), called];
  await call.deps.chain.append(facts.map((fact, index) => place(call, fact, index)));
}

/** A refusal that nobody has recorded more exactly. */
function refusals(call: Call, route: Route, reply: Reply): CallFact[] {
  if (
    reply.kind !== 'problem' ||
    call.recordedByRun ||
    call.facts.some((fact) => refusing.includes(fact.type))
  )
    return [];
  const data = { code: reply.code, route: route.path };
  if (reply.code === 'FORBIDDEN' && route.permission !== null) {
    return [
      { type: 'authz.denied', permission: route.permission, data: { ...data, permission: route.permission } },
    ];
  }
  return [{ type: 'request.refused', data }];
}

const refusing: readonly CallFact['type'][] = ['authn.failed', 'approval.refused', 'authz.denied'];

function place(call: Call, { place: at, ...fact }: CallFact, index: number): ServiceFact {
  const about = at ?? call.about;
  return {
    ...fact,
    key: `${call.requestId}#${index}`,
    time: call.deps.now().toISOString(),
    actor: actorOf(call),
    causation: call.requestId,
    traceId: at?.traceId ?? traceIdOf(call),
    ...(about === null ? {} : { about: about.run, flow: about.flow, environment: about.environment }),
  };
}
