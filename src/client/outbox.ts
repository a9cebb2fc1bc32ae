import { isUnavailable, withTransaction } from '../db/index.js';
import { dueMessages } from '../store/runs/messages.js';
import { takeOverdueRuns, type OverdueRun } from '../store/runs/overdue.js';
import { getRun } from '../store/runs/runs.js';
import { lookAfter, ringFor } from './bells.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

const intervalMs = 500;
const batch = 50;
/** Rounds between two searches for overdue runs. */
const roundsBetweenLooks = 10;
/** After this many bells without an answer (about half a minute) the run's workflow is looked for. */
const unheard = 4;
type Due = Awaited<ReturnType<typeof dueMessages>>[number];
/** A run's workflow is looked for when the run is overdue by `graceMs`, and again after `againMs`. */
const graceMs = 2 * 60_000;
const againMs = 10 * 60_000;

/**
 * Rings again for messages that no step has taken, until one has. Each message has its own backoff and count, which are shown.
 * Also looks after overdue runs: those that a time limit should have moved, of which nobody asks anything.
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
  // After so many bells the workflow under the run's id may be one that our workers do not serve.
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

/** Has a workflow that is served look at the store: if it lets a deadline pass, it goes by another past than the store's. */
async function lookAt(deps: ClientDeps, run: OverdueRun): Promise<void> {
  if ((await lookAfter(deps, run)) === 'served') await temporal.look(deps, run);
}
