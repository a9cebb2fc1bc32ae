import { isUnavailable, withTransaction } from '../db/index.js';
import { dueMessages } from '../store/messages.js';
import { takeOverdueRuns, type OverdueRun } from '../store/overdue.js';
import { getRun } from '../store/runs.js';
import { lookAfter, ringFor } from './bells.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

const intervalMs = 500;
const batch = 50;
/** Rounds from one look for runs that time should have moved to the next. */
const roundsBetweenLooks = 10;
/** After so many bells without an answer, in half a minute, the run's workflow is looked for. */
const unheard = 4;
type Due = Awaited<ReturnType<typeof dueMessages>>[number];
/** How long ago time should have moved a run whose workflow is looked for; and how long until it is looked for again. */
const graceMs = 2 * 60_000;
const againMs = 10 * 60_000;

/**
 * Rings again for what no step has taken, until one has: with backoff, each message for itself, counted and shown. And
 * looks after runs of which nobody asks anything, where time should have moved them.
 */
export function makeOutbox(deps: ClientDeps): { start(): void; stop(): Promise<void> } {
  let stopped = false;
  let wake = (): void => undefined;
  let running: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    for (let rounds = 0; !stopped; rounds += 1) {
      try {
        await ringDueMessages(deps);
        if (rounds % roundsBetweenLooks === 0) await lookAfterOverdue(deps);
      } catch (error) {
        if (!isUnavailable(error)) deps.onInternalError('the outbox', error);
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, intervalMs).unref();
      });
    }
  };
  return {
    start: () => {
      running = loop();
    },
    stop: async () => {
      stopped = true;
      wake();
      await running;
    },
  };
}

async function ringDueMessages(deps: ClientDeps): Promise<void> {
  const due = await withTransaction(deps.pool, (tx) => dueMessages(tx, batch));
  // A failure for one message must not delay the others.
  await Promise.all(
    due.map((message) =>
      ringAgain(deps, message).catch((error: unknown) => {
        if (!isUnavailable(error) && !temporal.isUnavailable(error))
          deps.onInternalError(
            `the outbox: message \`${message.id}\` of run \`${message.run}\` cannot be rung for`,
            error,
          );
      }),
    ),
  );
}

async function ringAgain(deps: ClientDeps, message: Due): Promise<void> {
  const row = await getRun(deps.pool, message.run);
  if (row === null) return;
  // Whoever holds its workflow hears the bells too, and no step of the run is taken.
  if (message.attempts >= unheard && (await lookAfter(deps, row)) === 'elsewhere') return;
  await ringFor(deps, row, message);
}

async function lookAfterOverdue(deps: ClientDeps): Promise<void> {
  const overdue = await withTransaction(deps.pool, (tx) =>
    takeOverdueRuns(tx, { graceMs, againMs, limit: batch }),
  );
  await Promise.all(
    overdue.map((run) =>
      lookAt(deps, run).catch((error: unknown) => {
        if (!isUnavailable(error) && !temporal.isUnavailable(error))
          deps.onInternalError(`the workflow of run \`${run.id}\`, which cannot be looked for`, error);
      }),
    ),
  );
}

/** A workflow that is there, and lets what is overdue pass, knows another past than the store, and no bell tells it so. */
async function lookAt(deps: ClientDeps, run: OverdueRun): Promise<void> {
  if ((await lookAfter(deps, run)) === 'served') await temporal.look(deps, run);
}
