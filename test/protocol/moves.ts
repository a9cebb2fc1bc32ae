import { events } from './events.js';
import { progress } from './progress.js';
import type { Move, Protocol, World } from './world.js';

/** All that may happen next. */
export function* moves(protocol: Protocol, world: World): Generator<Move> {
  yield* progress(protocol, world);
  yield* events(protocol, world);
}
