import type { Executor } from '../engine/plan.js';
import type { Room } from '../engine/effects/room.js';
import { callRoom } from '../engine/expression/template.js';
import { buildCliCall } from './cli/call.js';
import { buildMcpCall } from './mcp/call.js';
import { buildRestCall } from './rest/call.js';
import type { Built, Scopes } from './types.js';

// What would be called, before anything is: pure, so that a run on paper is told the same as one that calls.

/** Resolves an executor's templates, within a call's room. `human` is an approval, not a call: asking for one is a bug. */
export function buildCall(
  executor: Executor,
  scopes: Scopes,
  at: 'transition' | 'onEnter',
  room: Room = callRoom(),
): Built {
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
