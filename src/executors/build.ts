import { callRoom } from '../engine/expression/template.js';
import type { Judged } from '../engine/effects/effects.js';
import type { Room } from '../engine/effects/room.js';
import { asksPeople, type Executor } from '../engine/plan.js';
import { hasEffect } from './effects.js';
import { kindNamed } from './kinds.js';
import type { At, Built, Scopes } from './types.js';

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
  at: At,
  judged: Judged = asRead,
  room: Room = callRoom(),
): Built {
  if (asksPeople(executor)) throw new Error('a human executor opens an approval; it makes no call');
  const kind = kindNamed(executor.kind);
  const built = kind.build(executor, scopes, at, room);
  if (built.status !== 'built' || hasEffect(judged, executor)) return built;
  return kind.refusedRead?.(executor, built.call) ?? built;
}
