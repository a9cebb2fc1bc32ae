// The demonstration's agent: it reconciles an invoice, drafts the payment, is parked at the gate, waits as agents do
// (by polling, never on a held connection), and completes the run once a human has approved.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, expectOk, field } from '../client.js';
import { stopWithParent } from '../service.js';

const flow = 'vendor-invoice-reconciliation';
const tool = 'erp.payment.draft';
const payment = { vendor: 'ACME GmbH', amount: 60_000 };
const trace = {
  prompt: 'Reconcile invoice INV-2041 of ACME GmbH over 60,000 EUR and draft its payment.',
  response:
    'INV-2041 matches purchase order PO-7731 and its delivery note. I draft a payment of 60,000 to ACME GmbH.',
  model: 'countersign-demonstration-1',
};
const pollMs = 2_000;
const shortestPollMs = 250;
/** Of an action that is not settled. */
const underWay = ['pending', 'approved', 'executing'];

stopWithParent(() => process.exit(0));

const api = connect('agent');

/** Its payment, asked for in a run. */
interface Asked {
  readonly run: string;
  /** Where its action tells how it stands; null: it ran at once. */
  readonly poll: string | null;
  /** Null: no human is waited for. */
  readonly approval: string | null;
}

await demonstrate();
process.exit(0);

async function demonstrate(): Promise<void> {
  const { run, poll, approval } = (await earlierDemonstration()) ?? (await draftPayment(await startRun()));
  if (approval !== null) sayWhoIsAwaited(approval);
  const outcome = poll === null ? 'executed' : await untilSettled(poll);
  if (outcome !== 'executed') return say(`run ${run}: the payment was not drafted (${outcome})`);
  const answer = await api.post(`/v1/runs/${run}/transitions/complete`, {}, `demonstration-complete-${run}`);
  const status = field(answer.body, 'run', 'status') ?? field(answer.body, 'code') ?? String(answer.status);
  say(`run ${run}: the payment is approved and drafted; the run is ${status}`);
}

/** One of an earlier start that is under way still, or was drafted meanwhile: a second start makes no second demonstration. */
async function earlierDemonstration(): Promise<Asked | null> {
  const me = field(expectOk(await api.get('/v1/whoami'), 'agent: ask who it is').body, 'id') ?? '';
  for (const status of ['waiting', 'running']) {
    const query = new URLSearchParams({ flow, status, startedBy: me, limit: '500' });
    const list = expectOk(await api.get(`/v1/runs?${query.toString()}`), 'agent: list its runs');
    for (const item of asList(list.body['data'])) {
      const found = await demonstrationAt(field(item, 'id') ?? '');
      if (found !== null) return found;
    }
  }
  return null;
}

/** The key may have other runs, of somebody who tries things: those are not the demonstration's to end. */
async function demonstrationAt(run: string): Promise<Asked | null> {
  const { body } = await api.get(`/v1/runs/${run}`);
  for (const one of asList(body['approvals'])) {
    const approval = field(one, 'id') ?? '';
    const detail = (await api.get(`/v1/approvals/${approval}`)).body;
    if (field(detail, 'trace', 'model') !== trace.model) continue;
    const poll = `/v1/actions/${field(detail, 'action') ?? ''}`;
    const status = field((await api.get(poll)).body, 'status') ?? '';
    if (status === 'pending') return { run, poll, approval };
    if (underWay.includes(status) || status === 'executed') return { run, poll, approval: null };
  }
  return null;
}

async function startRun(): Promise<string> {
  const started = expectOk(
    await api.post(`/v1/flows/${flow}/runs`, { input: {}, trace }, randomUUID()),
    `agent: start ${flow}`,
  );
  const run = field(started.body, 'run', 'id');
  if (run === null) return give('the API answered a start without a run');
  say(`started run ${run} of ${flow}`);
  return run;
}

async function draftPayment(run: string): Promise<Asked> {
  const path = `/v1/runs/${run}/transitions/${encodeURIComponent(tool)}`;
  const { body } = expectOk(
    await api.post(path, { arguments: payment, trace }, `demonstration-draft-${run}`),
    `agent: ${tool}`,
  );
  return { run, poll: field(body, 'result', 'poll'), approval: field(body, 'result', 'approval', 'id') };
}

function sayWhoIsAwaited(approval: string): void {
  say(`${tool} of ${payment.amount} to ${payment.vendor} waits for a human`);
  const template = process.env['APPROVE_COMMAND'] ?? 'npx countersign approve {approval} --as finance';
  console.log(`approve with: ${template.replaceAll('{approval}', approval)}`);
}

async function untilSettled(poll: string): Promise<string> {
  for (;;) {
    const { status, body, retryAfterMs } = await api.get(poll);
    const action =
      status === 200 ? field(body, 'status') : `problem ${field(body, 'code') ?? String(status)}`;
    if (action === null || !underWay.includes(action)) return action ?? 'no status';
    await sleep(Math.max(retryAfterMs ?? pollMs, shortestPollMs));
  }
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function say(line: string): void {
  console.log(`agent: ${line}`);
}

function give(message: string): never {
  console.error(`agent: ${message}`);
  process.exit(1);
}
