import { Counter, Gauge, type Registry } from 'prom-client';
import type { Pool } from '../../db/index.js';
import { countUndeliveredNotifications } from '../../store/notifications.js';

export interface NotificationMetrics {
  /** Counts an attempt to tell somebody of an approval. */
  count(channel: string, outcome: string): void;
  /** Fills the gauge of what is not delivered from the store. If it does not answer, empties it and throws. */
  fill(): Promise<void>;
}

/** The counter is of this process: sum it over all processes. The gauge is of the store: every process gives the same. */
export function makeNotificationMetrics(pool: Pool, registry: Registry): NotificationMetrics {
  const registers = [registry];
  const attempts = new Counter({
    name: 'countersign_notifications_total',
    help: 'Attempts to tell somebody of an approval, by channel and outcome',
    labelNames: ['channel', 'outcome'],
    registers,
  });
  const undelivered = new Gauge({
    name: 'countersign_notifications_undelivered',
    help: 'Messages about approvals that still wait, which have not reached their receiver: waiting, retrying or failed',
    labelNames: ['channel', 'status'],
    registers,
  });
  return {
    count: (channel, outcome) => attempts.inc({ channel, outcome }),
    fill: async () => {
      const rows = await countUndeliveredNotifications(pool).finally(() => undelivered.reset());
      for (const { channel, status, count } of rows) undelivered.set({ channel, status }, count);
    },
  };
}
