import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  action,
  audit,
  decide,
  getRun,
  parkedPayment,
  startRun,
  submit,
  until,
} from '../test/support/flows.js';
import { projectRoot } from '../test/support/paths.js';
import { startServices, type Services } from '../test/support/services.js';
import { startStack, type Stack } from '../test/support/stack.js';
import { kernelVersion } from '../src/workflows/messages.js';

// `npm run record:histories [-- <name>…]`: records what test/replay/replay.test.ts replays. Files of older kernel
// versions stay as they are; those of the present version are only recorded anew while no run of it
// is in service.

interface Scene {
  readonly stack: Stack;
  readonly services: Services;
}

/** Each gives the run whose history is kept. */
const scenes: Readonly<Record<string, (scene: Scene) => Promise<string>>> = {
  async 'payment-approved'({ stack }) {
    const parked = await parkedPayment(stack);
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await completed(stack, parked.run);
    return parked.run;
  },
  async 'payment-denied'({ stack }) {
    const parked = await parkedPayment(stack);
    await decide(stack, 'finance', parked.approval, 'deny', { reason: 'unknown vendor' });
    await action(stack, 'agent', parked.poll, 'denied');
    await completed(stack, parked.run);
    return parked.run;
  },
  async 'expense-paid-at-the-third-attempt'({ stack, services }) {
    const run = await expense(stack);
    await services.failPayroll([503, 503]);
    await submit(stack, 'manager', run, 'approve');
    await until('the payment', async () => (await getRun(stack, 'manager', run)).run.version === 4);
    await submit(stack, 'employee', run, 'mark_paid');
    await ended(stack, run, 'completed');
    return run;
  },
  async 'expense-stuck-and-retried'({ stack, services }) {
    const run = await expense(stack);
    await services.failPayroll([503, 503, 503]);
    await submit(stack, 'manager', run, 'approve');
    await ended(stack, run, 'stuck');
    await operate(stack, run, 'retry');
    await until('the payment', async () => (await getRun(stack, 'manager', run)).run.version === 4);
    await submit(stack, 'employee', run, 'mark_paid');
    await ended(stack, run, 'completed');
    return run;
  },
  async 'payment-cancelled-at-its-gate'({ stack }) {
    const parked = await parkedPayment(stack);
    await operate(stack, parked.run, 'cancel');
    await ended(stack, parked.run, 'cancelled');
    return parked.run;
  },
  async 'payment-decided-without-a-worker'({ stack }) {
    const parked = await parkedPayment(stack);
    await stack.worker.kill('SIGKILL');
    const decided = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(decided.status, 202, JSON.stringify(decided.body));
    await stack.worker.restart();
    await action(stack, 'agent', parked.poll, 'executed');
    await completed(stack, parked.run);
    return parked.run;
  },
  async 'payment-among-garbage'({ stack }) {
    const parked = await parkedPayment(stack);
    const payloads = [
      payload('json/plain', '{"not": "json"'),
      payload('binary/unheard-of', '\u0000\u0001'),
      payload('json/plain', JSON.stringify({ message: { kind: 'human' }, keyId: 'none', signature: 'AAAA' })),
    ];
    for (const one of payloads) await throwAt(stack, parked.run, 'decide', [one]);
    await throwAt(stack, parked.run, 'submit', []);
    await throwAt(stack, parked.run, 'no_such_name', [payload('json/plain', '{}')]);
    await until('the refusals', async () => (await audit(stack, parked.run, 'message.refused')).length >= 4);
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await completed(stack, parked.run);
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
    await completed(stack, id);
    return id;
  },
  async 'payment-at-its-gate'({ stack }) {
    return (await parkedPayment(stack)).run;
  },
};

async function expense(stack: Stack): Promise<string> {
  const input = { employee: 'e-1', amount: 100, category: 'travel' };
  const started = await startRun(stack, 'employee', 'expense_approval', input);
  await submit(stack, 'employee', started.run.id, 'to_manager');
  return started.run.id;
}

async function completed(stack: Stack, run: string): Promise<void> {
  await submit(stack, 'agent', run, 'complete');
  await ended(stack, run, 'completed');
}

async function ended(stack: Stack, run: string, status: string): Promise<void> {
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

interface EncodedPayload {
  readonly metadata: { readonly encoding: string };
  readonly data: string;
}

function payload(encoding: string, text: string): EncodedPayload {
  const base64 = (value: string): string => Buffer.from(value).toString('base64');
  return { metadata: { encoding: base64(encoding) }, data: base64(text) };
}

/** A signal straight to Temporal's HTTP port, past the API. */
async function throwAt(
  stack: Stack,
  run: string,
  name: string,
  payloads: readonly EncodedPayload[],
): Promise<void> {
  const path = `/api/v1/namespaces/countersign-staging/workflows/${run}/signal/${name}`;
  const response = await fetch(`${stack.temporalHttp}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { payloads } }),
  });
  assert.equal(response.status, 200, await response.text());
}

/** The store says that a run has ended a moment before Temporal has written its last event. */
async function history(stack: Stack, run: string): Promise<{ events: unknown[] }> {
  const { status } = (await getRun(stack, 'auditor', run)).run;
  const last = status === 'waiting' ? 'WORKFLOW_EXECUTION_UPDATE_COMPLETED' : 'WORKFLOW_EXECUTION_COMPLETED';
  return until(`the history of ${run}`, async () => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
    const { events } = body as { events: { eventType: string }[] };
    return events.at(-1)?.eventType === `EVENT_TYPE_${last}` ? { events } : null;
  });
}

async function main(): Promise<void> {
  const folder = join(projectRoot, 'test', 'histories');
  mkdirSync(folder, { recursive: true });
  const services = await startServices();
  const stack = await startStack({ env: services.env, own: true });
  try {
    const wanted = process.argv.slice(2);
    for (const [name, play] of Object.entries(scenes)) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      const run = await play({ stack, services });
      const recorded = await history(stack, run);
      const file = join(folder, `kernel-${kernelVersion}-${name}.json`);
      writeFileSync(file, `${JSON.stringify(recorded, null, 1)}\n`);
      process.stdout.write(`${recorded.events.length} events: ${file}\n`);
    }
  } finally {
    await stack.stop();
    await services.stop();
  }
}

await main();
// Temporal's client keeps its connection alive.
process.exit(0);
