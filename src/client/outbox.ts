import type { AttestedMessage, Message } from '../model/message.js';
import { newId } from '../model/ids.js';
import { signMessage } from '../auth/index.js';
import { isUnavailable, withTransaction } from '../db/index.js';
import { due, markDelivered } from '../store/outbox.js';
import { getRun } from '../store/runs.js';
import { messageNames, type MessageName } from '../workflows/messages.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

const intervalMs = 500;
const batch = 50;

/** Sends what a run has not taken yet, until it has. Each sending is signed as a delivery of its own. */
export function makeOutbox(deps: ClientDeps): { start(): void; stop(): Promise<void> } {
  let stopped = false;
  let wake = (): void => undefined;
  let running: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    while (!stopped) {
      try {
        await round(deps);
      } catch (error) {
        if (!isUnavailable(error) && !temporal.isUnavailable(error)) console.error('outbox:', error);
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
  const rows = await withTransaction(deps.pool, (tx) => due(tx, batch));
  for (const row of rows) {
    const done = await send(deps, row.run, row.kind, row.payload as AttestedMessage);
    if (done) await markDelivered(deps.pool, row.id);
  }
}

/** True: nothing is left to send. A message that was delivered is marked by the run that takes it. */
async function send(
  deps: ClientDeps,
  run: string,
  kind: string,
  attested: AttestedMessage,
): Promise<boolean> {
  if (kind === 'start') return (await temporal.startRun(deps, attested)) === 'started';
  const name = messageNames.find((one): one is MessageName => one === kind);
  const row = await getRun(deps.pool, run);
  if (name === undefined || row === null) return true;
  const again: Message = { ...attested.message, delivery: newId('msg') };
  const sent = await temporal.deliver(deps, row.namespace, run, name, signMessage(deps.keys, again));
  return sent === 'closed';
}
