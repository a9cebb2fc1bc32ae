import { Context } from '@temporalio/activity';
import type { ActivityDeps } from './deps.js';
import { execute } from './execute.js';
import { step } from './step.js';
import type { RunActivities } from './types.js';

export { makeDeps, type ActivityDeps } from './deps.js';

const heartbeatMs = 1_000;

/** Binds the hands of a run to Temporal's activity context. */
export function makeActivities(deps: ActivityDeps): RunActivities {
  return {
    step: (input) => step(deps, input),
    execute: async (input) => {
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), heartbeatMs);
      try {
        return await execute(deps, input, { shutdown: shutdownSignal(context) });
      } finally {
        clearInterval(beat);
      }
    },
  };
}

/** A cancelled run lets its effect finish; a worker that stops does not. */
function shutdownSignal(context: Context): AbortSignal {
  const controller = new AbortController();
  context.cancelled.catch((error: unknown) => {
    if (error instanceof Error && error.message === 'WORKER_SHUTDOWN') controller.abort(error);
  });
  return controller.signal;
}
