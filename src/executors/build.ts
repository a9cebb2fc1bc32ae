import type { Executor } from '../engine/plan.js';
import { asText, hasEffect, overrideIn, overrideOf, type Judged } from '../engine/effects/effects.js';
import type { Room } from '../engine/effects/room.js';
import { callRoom } from '../engine/expression/template.js';
import { buildCliCall } from './cli/call.js';
import { buildMcpCall } from './mcp/call.js';
import { buildRestCall } from './rest/call.js';
import type { Built, Call, Scopes } from './types.js';
import { noRead } from './values.js';

// What would be called, before anything is: pure, so that a run on paper is told the same as one that calls.

/** Whose call it is was not said: it is held to all that a read is. */
const asRead: Judged = { action: { tier: 'read_only' } };

/**
 * Resolves an executor's templates, within a call's room. `judged`: of whose step it is; what is said to change nothing is not
 * built where a server may take it for another method. `human` is an approval, not a call: asking for one is a bug.
 */
export function buildCall(
  executor: Executor,
  scopes: Scopes,
  at: 'transition' | 'onEnter',
  judged: Judged = asRead,
  room: Room = callRoom(),
): Built {
  const built = resolved(executor, scopes, at, room);
  if (built.status !== 'built' || hasEffect(judged, executor)) return built;
  return refusedOverride(executor, built.call) ?? built;
}

/** Arguments fill it, so what passed the checks of its policy may be no read as it is sent. */
function refusedOverride(executor: Executor, call: Call): Built | null {
  if (executor.kind !== 'rest' || call.kind !== 'rest') return null;
  const { path, query, headers, body = null } = call;
  const text = [path, ...query.flat(), asText(body)].join('\n');
  const name = overrideIn(headers, text) ?? overrideOf(executor);
  return name === null ? null : noRead(name, call.method);
}

function resolved(executor: Executor, scopes: Scopes, at: 'transition' | 'onEnter', room: Room): Built {
  switch (executor.kind) {
    case 'rest':
      return buildRestCall(executor, scopes, room);
    case 'mcp':
      return buildMcpCall(executor, scopes, at, room);
    case 'cli':
      return buildCliCall(executor, scopes, room);
    case 'noop':
      return { status: 'built', call: { kind: 'noop', output: executor.output } };
    case 'human':
      throw new Error('a human executor opens an approval; it makes no call');
  }
}
