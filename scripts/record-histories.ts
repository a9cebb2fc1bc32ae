import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection, type WorkflowClient } from '@temporalio/client';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { action, audit, decide, getRun, parkPayment, startRun, submit, until } from '../testing/flows.js';
import { encodePayload, jsonPayload, sendTo } from '../testing/bells.js';
import { asSuperuser } from '../testing/servers/database.js';
import { projectRoot } from '../testing/paths.js';
import { startServices, type Services } from '../testing/services.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { kernelVersion } from '../src/workflows/versions.js';

// `npm run record:histories [-- <name>…]` records the histories that test/replay/replay.test.ts replays. Files of older kernel
// versions stay as they are. Record those of the present version anew only while no run of this version is in service.
//
// `kernel-2-payment-delivered-in-parts` is made by hand, because a server delivers messages in parts only when a task runs out of
// time while its step is under way. It is the history of a recorded run, changed so that the first step of its second task gets
// one of the twelve messages.

const folder = join(projectRoot, 'test', 'histories');

interface Scene {
  readonly stack: Stack;
  readonly services: Services;
}

type Play = (scene: Scene) => Promise<string>;

/** Each scene gives the run whose histories are kept. */
const scenes: Readonly<Record<string, Play>> = {
  async 'payment-approved'({ stack }) {
    const parked = await parkPayment(stack);
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await completeRun(stack, parked.run);
    return parked.run;
  },
  async 'payment-denied'({ stack }) {
    const parked = await parkPayment(stack);
    await decide(stack, 'finance', parked.approval, 'deny', { reason: 'unknown vendor' });
    await action(stack, 'agent', parked.poll, 'denied');
    await completeRun(stack, parked.run);
    return parked.run;
  },
  async 'expense-paid-at-the-third-attempt'({ stack, services }) {
    const run = await startExpense(stack);
    await services.failPayroll([503, 503]);
    await submit(stack, 'manager', run, 'approve');
    await until('the payment', async () => (await getRun(stack, 'manager', run)).run.version === 4);
    await submit(stack, 'employee', run, 'mark_paid');
    await waitForStatus(stack, run, 'completed');
    return run;
  },
  async 'expense-stuck-and-retried'({ stack, services }) {
    const run = await startExpense(stack);
    await services.failPayroll([503, 503, 503]);
    await submit(stack, 'manager', run, 'approve');
    await waitForStatus(stack, run, 'stuck');
    await operate(stack, run, 'retry');
    await until('the payment', async () => (await getRun(stack, 'manager', run)).run.version === 4);
    await submit(stack, 'employee', run, 'mark_paid');
    await waitForStatus(stack, run, 'completed');
    return run;
  },
  async 'payment-cancelled-at-its-gate'({ stack }) {
    const parked = await parkPayment(stack);
    await operate(stack, parked.run, 'cancel');
    await waitForStatus(stack, parked.run, 'cancelled');
    return parked.run;
  },
  async 'payment-decided-without-a-worker'({ stack }) {
    const parked = await parkPayment(stack);
    await stack.worker.kill('SIGKILL');
    const decided = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(decided.status, 202, JSON.stringify(decided.body));
    await stack.worker.restart();
    await action(stack, 'agent', parked.poll, 'executed');
    await completeRun(stack, parked.run);
    return parked.run;
  },
  async 'payment-among-garbage'({ stack }) {
    const parked = await parkPayment(stack);
    const garbage = [
      encodePayload('json/plain', '{"not": "json"'),
      encodePayload('binary/unheard-of', '\u0000\u0001'),
      jsonPayload({ message: { kind: 'human' }, keyId: 'none', signature: 'AAAA' }),
    ];
    for (const payload of garbage) await sendTo(stack, parked.run, 'decide', [payload]);
    await sendTo(stack, parked.run, 'submit', []);
    await sendTo(stack, parked.run, 'no_such_name', [jsonPayload({})]);
    await until('the refusals', async () => (await audit(stack, parked.run, 'message.refused')).length >= 4);
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await completeRun(stack, parked.run);
    return parked.run;
  },
  async 'payment-submitted-before-its-first-task'({ stack }) {
    await stack.worker.kill('SIGKILL');
    const flow = '/v1/flows/vendor-invoice-reconciliation/runs';
    const started = await stack.fetchAs('agent', 'POST', `${flow}?wait=0`, { input: {} });
    const { id } = started.body.run as { id: string };
    const path = `/v1/runs/${id}/transitions/erp.payment.draft?wait=0`;
    const sent = await stack.fetchAs('agent', 'POST', path, { arguments: { vendor: 'ACME', amount: 10 } });
    assert.equal(sent.status, 202, JSON.stringify(sent.body));
    await stack.worker.restart();
    await action(stack, 'agent', sent.body.result.poll as string, 'executed');
    await completeRun(stack, id);
    return id;
  },
  async 'payment-at-its-gate'({ stack }) {
    return (await parkPayment(stack)).run;
  },
  async 'payment-cancelled-during-its-effect-and-worker-killed'({ stack, services }) {
    const { run } = await startRun(stack, 'agent', payments, {}, { environment: 'staging' });
    await services.holdErp(4_000);
    const path = `/v1/runs/${run.id}/transitions/erp.payment.draft?wait=0`;
    await stack.fetchAs('agent', 'POST', path, { arguments: { vendor: 'HELD', amount: 10 } });
    await until('the effect', async () =>
      (await services.drafts()).some((draft) => draft.key.startsWith(run.id)),
    );
    await operate(stack, run.id, 'cancel');
    await stack.worker.kill('SIGKILL');
    await stack.worker.restart();
    await until(
      'its end',
      async () => {
        const { status } = (await getRun(stack, 'auditor', run.id)).run;
        return status === 'cancelled' || status === 'stuck';
      },
      60_000,
    );
    return run.id;
  },
  async 'payment-thirty-messages-at-once'({ stack }) {
    const { run } = await startRun(stack, 'agent', payments, {}, { environment: 'staging' });
    process.kill(stack.worker.pid, 'SIGSTOP');
    const path = `/v1/runs/${run.id}/transitions/erp.payment.draft?wait=1`;
    const sent = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        stack.fetchAs('agent', 'POST', path, { arguments: { vendor: `V-${index}`, amount: 60_000 } }),
      ),
    );
    for (const { status, body } of sent) assert.equal(status, 202, JSON.stringify(body));
    process.kill(stack.worker.pid, 'SIGCONT');
    await until(
      '30 open gates',
      async () => (await getRun(stack, 'auditor', run.id)).approvals.length === 30,
    );
    await completeRun(stack, run.id);
    return run.id;
  },
  async 'payment-stuck-by-a-step-that-failed'({ stack }) {
    const parked = await parkPayment(stack);
    await asSuperuser(stack.databaseUrl, failingInserts);
    const path = `/v1/runs/${parked.run}/transitions/erp.payment.draft`;
    const args = { arguments: { vendor: 'POISON', amount: 60_000 } };
    const { body } = await stack.fetchAs('agent', 'POST', path, args);
    assert.equal((body as { code?: string }).code, 'RUN_STUCK', JSON.stringify(body));
    await asSuperuser(stack.databaseUrl, 'drop trigger record_histories on action');
    await operate(stack, parked.run, 'cancel');
    await waitForStatus(stack, parked.run, 'cancelled');
    return parked.run;
  },
};

/** Scenes on a server that suggests a new history after a few events. */
const continuing: Readonly<Record<string, Play>> = {
  async 'payment-continued-as-new'({ stack }) {
    const parked = await parkPayment(stack);
    for (let vendor = 0; vendor < 6; vendor += 1) {
      const args = { arguments: { vendor: `V-${vendor}`, amount: 10 } };
      assert.equal((await submit(stack, 'agent', parked.run, 'erp.payment.draft', args)).status, 200);
    }
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await completeRun(stack, parked.run);
    return parked.run;
  },
  async 'payment-waited-for-its-key'({ stack }) {
    const parked = await parkPayment(stack);
    await stack.worker.kill('SIGKILL');
    const decided = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(decided.status, 202, JSON.stringify(decided.body));
    await changeKey(stack, parked.run);
    const first = (await latestHistory(stack, parked.run)) ?? undefined;
    await stack.worker.restart();
    const second = await until('another history', () => latestHistory(stack, parked.run, first));
    await until('a third history', () => latestHistory(stack, parked.run, second));
    await changeKey(stack, parked.run);
    await action(stack, 'agent', parked.poll, 'executed');
    await completeRun(stack, parked.run);
    return parked.run;
  },
};

const payments = 'vendor-invoice-reconciliation';

/** Has the store refuse any further action, so that every step that adds an action throws. */
const failingInserts = `
  create function record_histories() returns trigger language plpgsql as $$ begin raise exception 'a seeded fault'; end $$;
  create trigger record_histories before insert on action for each row execute function record_histories();
`;

/** Changes a bit of the key of the run's payloads, which opens none of them then; done twice, the key is as it was. */
async function changeKey(stack: Stack, run: string): Promise<void> {
  await asSuperuser(
    stack.databaseUrl,
    `alter table payload_key disable trigger user;
     update payload_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) where run = '${run}';
     alter table payload_key enable trigger user`,
  );
}

async function startExpense(stack: Stack): Promise<string> {
  const input = { employee: 'e-1', amount: 100, category: 'travel' };
  const started = await startRun(stack, 'employee', 'expense_approval', input);
  await submit(stack, 'employee', started.run.id, 'to_manager');
  return started.run.id;
}

async function completeRun(stack: Stack, run: string): Promise<void> {
  await submit(stack, 'agent', run, 'complete');
  await waitForStatus(stack, run, 'completed');
}

async function waitForStatus(stack: Stack, run: string, status: string): Promise<void> {
  await until(`${run} to be ${status}`, async () => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}`);
    return (body as { run: { status: string } }).run.status === status;
  });
}

async function operate(stack: Stack, run: string, name: 'cancel' | 'retry'): Promise<void> {
  const { status, body } = await stack.fetchAs('admin', 'POST', `/v1/runs/${run}/${name}`, {
    reason: 'for the record',
  });
  assert.ok(status < 300, JSON.stringify(body));
}

async function withClient<T>(
  stack: Stack,
  run: string,
  act: (workflow: WorkflowClient) => Promise<T>,
): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporalAddress });
  try {
    return await act(new Client({ connection, namespace: await namespaceOf(stack, run) }).workflow);
  } finally {
    await connection.close();
  }
}

/** Temporal's id of the latest history of a run; null: it is `before` still. */
function latestHistory(stack: Stack, run: string, before?: string): Promise<string | null> {
  return withClient(stack, run, async (workflow) => {
    const { runId } = await workflow.getHandle(run).describe();
    return runId === before ? null : runId;
  });
}

/** Fetches the histories of a run, in order. */
function fetchHistories(stack: Stack, run: string): Promise<readonly History[]> {
  return withClient(stack, run, async (workflow) => {
    const found: History[] = [];
    for (let runId: string | undefined; ;) {
      const history = await until(`the history of ${run}`, async () => {
        const fetched = await workflow.getHandle(run, runId).fetchHistory();
        return isAtRest(fetched) ? fetched : null;
      });
      found.unshift(history);
      const before = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
      if (before === undefined || before === null || before === '') return found;
      runId = before;
    }
  });
}

async function namespaceOf(stack: Stack, run: string): Promise<string> {
  return `countersign-${(await getRun(stack, 'auditor', run)).run.environment}`;
}

/** Whether Temporal has written the last event: the store shows the new status of a run a moment before. */
function isAtRest({ events }: History): boolean {
  const last = events?.at(-1);
  const moving = [
    last?.workflowTaskScheduledEventAttributes,
    last?.workflowTaskStartedEventAttributes,
    last?.workflowExecutionSignaledEventAttributes,
    last?.activityTaskScheduledEventAttributes,
  ];
  return moving.every((attributes) => (attributes ?? null) === null);
}

async function record(plays: Readonly<Record<string, Play>>, scene: Scene): Promise<void> {
  const wanted = process.argv.slice(2);
  for (const [name, play] of Object.entries(plays)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const run = await play(scene);
    const recorded = await fetchHistories(scene.stack, run);
    for (const [index, history] of recorded.entries()) {
      const part = recorded.length === 1 ? '' : `-${index + 1}`;
      const file = join(folder, `kernel-${kernelVersion}-${name}${part}.json`);
      writeFileSync(file, `${historyToJSON(history)}\n`);
      process.stdout.write(`${history.events?.length ?? 0} events: ${file}\n`);
    }
  }
}

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const services = await startServices();
  try {
    for (const [plays, dynamicConfig] of [
      [scenes, []],
      [continuing, ['limit.historyCount.suggestContinueAsNew=20']],
    ] as const) {
      const stack = await startStack({ env: services.env, own: true, dynamicConfig });
      try {
        await record(plays, { stack, services });
      } catch (error) {
        process.stderr.write(`${stack.logs()}\n`);
        throw error;
      } finally {
        await stack.stop();
      }
    }
  } finally {
    await services.stop();
  }
}

await main();
// Temporal's client keeps its connection alive.
process.exit(0);
