import { isUnavailable, withTransaction } from '../db/index.js';
import { bellOf } from '../auth/index.js';
import { closedStatuses } from '../engine/state.js';
import { startMessageId } from '../model/ids.js';
import { dueMessages, getMessage, type MessageRow } from '../store/messages.js';
import { getRun } from '../store/runs.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

const intervalMs = 500;
const batch = 50;

/** Rings again for what no step has taken, until one has: with backoff, each message for itself, counted and shown. */
export function makeOutbox(deps: ClientDeps): { start(): void; stop(): Promise<void> } {
  let stopped = false;
  let wake = (): void => undefined;
  let running: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    while (!stopped) {
      try {
        await round(deps);
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

async function round(deps: ClientDeps): Promise<void> {
  const due = await withTransaction(deps.pool, (tx) => dueMessages(tx, batch));
  // What fails for one of them is no other's delay.
  await Promise.all(
    due.map((message) =>
      ringAgain(deps, message).catch((error: unknown) => {
        if (!isUnavailable(error))
          deps.onInternalError(
            `the outbox: message \`${message.id}\` of run \`${message.run}\` cannot be rung for`,
            error,
          );
      }),
    ),
  );
}

async function ringAgain(deps: ClientDeps, message: MessageRow): Promise<void> {
  const row = await getRun(deps.pool, message.run);
  if (row === null) return;
  if (message.kind === 'start') {
    await temporal.startRun(deps, row, bellOf(message), null);
    return;
  }
  const start = row.rev > 0 ? null : await getMessage(deps.pool, startMessageId(row.id));
  const rung = await temporal.ring(deps, row, bellOf(message), start === null ? null : bellOf(start));
  if (rung === 'gone' && !closedStatuses.includes(row.status))
    console.error(`outbox: run \`${row.id}\` is ${row.status}, and Temporal has no open workflow of it`);
}
