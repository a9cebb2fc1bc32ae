import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiDeps } from '../../src/api/index.js';
import { makeNotices } from '../../src/service/index.js';
import { makeWebhookKey, loadKeys } from '../../src/auth/index.js';
import { newId } from '../../src/model/names/ids.js';
import { listen } from '../../src/db/index.js';
import { makeDeliverer, type DelivererDeps } from '../../src/notify/index.js';
import { notificationChannel } from '../../src/store/notifications.js';
import { startApi, type Harness } from '../api/harness.js';

export { startReceiver, type Received, type Receiver } from './receiver.js';

export interface Office {
  readonly api: Harness;
  /** Values behind `env://`. */
  readonly env: Record<string, string>;
  readonly logged: string[];
  /** Puts another notifications.yaml in force. */
  route(text: string): Promise<void>;
  /** Starts one more process's worth of delivering. */
  deliver(change?: Partial<DelivererDeps>): Promise<{ wake(): void; stop(): Promise<void> }>;
  park(amount?: number): Promise<Parked>;
  approval(id: string): Promise<any>;
  records(run: string): Promise<any[]>;
  /** Resolves when a record of this outcome is there. */
  recorded(run: string, outcome: string, count?: number): Promise<any[]>;
  /** Whatever is to be tried later is tried now. */
  hurry(): Promise<void>;
  /** Stops every deliverer, and gives up what waits. */
  rest(): Promise<void>;
  stop(): Promise<void>;
}

export interface Parked {
  readonly id: string;
  readonly digest: string;
  readonly run: string;
}

/** The whole API with an outbox, and deliverers as the test starts them. */
export async function openOffice(change?: (deps: ApiDeps) => ApiDeps): Promise<Office> {
  const api = await startApi(change);
  const env: Record<string, string> = {};
  const logged: string[] = [];
  const running: { wake(): void; stop(): Promise<void> }[] = [];
  const webhookKey = makeWebhookKey((await loadKeys(api.home, {})).signing);
  const { pool, transaction, isUnavailable, chain, policies, metrics, now } = api.deps;
  const records = async (run: string): Promise<any[]> => {
    const found = await api.ask('auditor', 'GET', `/v1/audit?run=${run}&type=approval.notified&limit=500`);
    assert.equal(found.status, 200, found.text);
    return found.body.data as any[];
  };
  return {
    api,
    env,
    logged,
    records,
    route: async (text) => {
      writeFileSync(join(api.home, 'policies', 'notifications.yaml'), text);
      const loaded = await policies.reload({ kind: 'runtime', id: 'countersign' }, newId('trc'), [], () =>
        Promise.resolve(),
      );
      assert.equal(loaded.status, 'loaded', JSON.stringify(loaded));
    },
    deliver: async (change = {}) => {
      const deliverer = makeDeliverer({
        pool,
        transaction,
        isUnavailable,
        chain,
        policy: async () => (await policies.policySet())?.notifications ?? null,
        ...makeNotices(api.deps),
        references: { env, secretsDirectory: null },
        webhookKey,
        now,
        observe: metrics.notified,
        onInternalError: (what, error) => void logged.push(`${what}: ${String(error)}`),
        ...change,
      });
      const listener = await listen(api.database.url, [notificationChannel], deliverer.wake);
      deliverer.start();
      let stopped = false;
      const started = {
        wake: deliverer.wake,
        stop: async () => {
          if (stopped) return;
          stopped = true;
          await listener.close();
          await deliverer.stop();
        },
      };
      running.push(started);
      return started;
    },
    park: async (amount = 150) => {
      const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
      const run = started.body.run.id as string;
      const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
        arguments: { amount },
      });
      assert.equal(asked.status, 202, asked.text);
      const { id, digest } = asked.body.result.approval;
      return { id, digest, run };
    },
    approval: async (id) => (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body,
    recorded: async (run, outcome, count = 1) => {
      for (;;) {
        const found = (await records(run)).filter((record) => record.data.outcome === outcome);
        if (found.length >= count) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    hurry: async () => {
      await api.database.pool.query(`update notification set next_at = now() where status = 'waiting'`);
      for (const deliverer of running) deliverer.wake();
    },
    rest: async () => {
      for (const deliverer of running.splice(0)) await deliverer.stop();
      await api.database.pool.query(`update notification set status = 'superseded' where status = 'waiting'`);
    },
    stop: async () => {
      for (const deliverer of running) await deliverer.stop();
      await api.stop();
    },
  };
}
