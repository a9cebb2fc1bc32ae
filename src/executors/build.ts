import { callRoom } from '../engine/expression/template.js';
import type { JudgedStep } from '../engine/effects/effects.js';
import type { Room } from '../engine/effects/room.js';
import { asksPeople, type Executor } from '../engine/plan.js';
import { hasEffect } from './effects.js';
import { requireKind } from './find-kind.js';
import type { At, Built, Scopes } from './types.js';

// What would be called, before any call is made: pure, so that a run on paper and a run that calls are told the same.

/** For a call whose transition is not known: it is judged as a read, which is the strictest. */
const asRead: JudgedStep = { action: { tier: 'read_only' } };

/**
 * Resolves an executor's templates, within a call's room. `judged` is the step that makes the call: where that step says that it
 * changes nothing, no call is built that a server may take for another method. Throws for `human`, which is an approval and no call.
 */
export function buildCall(
  executor: Executor,
  scopes: Scopes,
  at: At,
  judged: JudgedStep = asRead,
  room: Room = callRoom(),
): Built {
  if (asksPeople(executor)) throw new Error('a human executor opens an approval; it makes no call');
  const kind = requireKind(executor.kind);
  const built = kind.build(executor, scopes, at, room);
  if (built.status !== 'built' || hasEffect(judged, executor)) return built;
  return kind.refusedRead?.(executor, built.call) ?? built;
}
