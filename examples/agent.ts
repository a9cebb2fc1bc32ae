// The demonstration's agent: it reconciles an invoice, drafts the payment, is parked at the gate, waits as agents do
// (by polling, never on a held connection), and completes the run once a human has approved.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeApi, type ApiAnswer } from './client.js';
import { stopWithParent } from './service.js';

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

stopWithParent(() => process.exit(0));

const api = makeApi(required('COUNTERSIGN_URL'), required('COUNTERSIGN_KEY'));

interface Found {
  readonly run: string;
  /** The payment is drafted: only `complete` is missing. */
  readonly drafted: boolean;
}

await demonstrate();
process.exit(0);

async function demonstrate(): Promise<void> {
  const { run, drafted } = (await earlierRun()) ?? { run: await startRun(), drafted: false };
  const parked = drafted ? null : await draftPayment(run);
  const outcome = parked === null ? 'executed' : await untilSettled(parked);
  if (outcome !== 'executed') return say(`run ${run}: the payment was not drafted (${outcome})`);
  const answer = await api.post(`/v1/runs/${run}/transitions/complete`, {}, `demonstration-complete-${run}`);
  const status = field(answer.body, 'run', 'status') ?? field(answer.body, 'code') ?? String(answer.status);
  say(`run ${run}: the payment is approved and drafted; the run is ${status}`);
}

/** Its own earlier run that still waits, or was approved meanwhile: a second start makes no second demonstration. */
async function earlierRun(): Promise<Found | null> {
  const me = field(expectOk(await api.get('/v1/whoami'), 'ask who it is').body, 'id') ?? '';
  for (const status of ['waiting', 'running']) {
    const query = new URLSearchParams({ flow, status, startedBy: me, limit: '500' });
    const list = expectOk(await api.get(`/v1/runs?${query.toString()}`), 'list its runs');
    for (const item of asList(list.body['data'])) {
      const found = await demonstrationAt(field(item, 'id') ?? '');
      if (found !== null) return found;
    }
  }
  return null;
}

/** The key may have other runs, of somebody who tries things: those are not the demonstration's to end. */
async function demonstrationAt(run: string): Promise<Found | null> {
  const { status, body } = await api.get(`/v1/runs/${run}`);
  if (status !== 200) return null;
  for (const approval of asList(body['approvals'])) {
    const state = field(approval, 'status') ?? '';
    if (!['open', 'escalated', 'approved', 'consumed'].includes(state)) continue;
    const detail = await api.get(`/v1/approvals/${field(approval, 'id') ?? ''}`);
    if (field(detail.body, 'trace', 'model') === trace.model) return { run, drafted: state === 'consumed' };
  }
  return null;
}

async function startRun(): Promise<string> {
  const started = expectOk(
    await api.post(`/v1/flows/${flow}/runs`, { input: {}, trace }, randomUUID()),
    `start ${flow}`,
  );
  const run = field(started.body, 'run', 'id');
  if (run === null) return give('the API answered a start without a run');
  say(`started run ${run} of ${flow}`);
  return run;
}

/** Gives the URL to poll, or null when it ran at once. However often it is asked for one run, there is one approval. */
async function draftPayment(run: string): Promise<string | null> {
  const path = `/v1/runs/${run}/transitions/${encodeURIComponent(tool)}`;
  const answer = expectOk(
    await api.post(path, { arguments: payment, trace }, `demonstration-draft-${run}`),
    tool,
  );
  const poll = field(answer.body, 'result', 'poll');
  if (answer.status === 200 || poll === null) return null;
  const approval = field(answer.body, 'result', 'approval', 'id');
  if (approval !== null) {
    say(`${tool} of ${payment.amount} to ${payment.vendor} waits for a human`);
    const template = process.env['APPROVE_COMMAND'] ?? 'npx countersign approve {approval} --as finance';
    console.log(`approve with: ${template.replaceAll('{approval}', approval)}`);
  }
  return poll;
}

async function untilSettled(poll: string): Promise<string> {
  for (;;) {
    const { status, body, retryAfterMs } = await api.get(poll);
    const action =
      status === 200 ? field(body, 'status') : `problem ${field(body, 'code') ?? String(status)}`;
    if (action === null || !['pending', 'approved', 'executing'].includes(action))
      return action ?? 'no status';
    await sleep(Math.max(retryAfterMs ?? pollMs, shortestPollMs));
  }
}

function expectOk(answer: ApiAnswer, what: string): ApiAnswer {
  if (answer.status < 300) return answer;
  const why = field(answer.body, 'detail') ?? field(answer.body, 'title') ?? '';
  return give(`${what}: ${answer.status} ${field(answer.body, 'code') ?? ''} ${why}`);
}

/** Text, or a number as text, at a place in an answer; null where there is none. */
function field(value: unknown, ...path: readonly string[]): string | null {
  let at: unknown = value;
  for (const name of path)
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  return typeof at === 'string' || typeof at === 'number' ? String(at) : null;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function required(name: string): string {
  const value = process.env[name];
  return value === undefined || value === '' ? give(`set ${name}`) : value;
}

function say(line: string): void {
  console.log(`agent: ${line}`);
}

function give(message: string): never {
  console.error(`agent: ${message}`);
  process.exit(1);
}
