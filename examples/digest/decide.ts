// Two decisions about one payment: one names the digest of another action, one the digest of what was shown.
import { randomUUID } from 'node:crypto';
import { connect, expectOk, field } from '../client.js';

const payment = { vendor: 'ACME GmbH', amount: 60_000 };
const [agent, finance] = [connect('agent'), connect('finance')];

const started = await agent.post(
  '/v1/flows/vendor-invoice-reconciliation/runs?wait=25',
  { input: {} },
  randomUUID(),
);
const run = field(expectOk(started, 'start a run').body, 'run', 'id') ?? '';
const asked = await agent.post(
  `/v1/runs/${run}/transitions/erp.payment.draft`,
  { arguments: payment },
  randomUUID(),
);
const approval = `/v1/approvals/${field(expectOk(asked, 'draft the payment').body, 'result', 'approval', 'id') ?? ''}`;

const shown = expectOk(await finance.get(approval), 'look at the approval').body;
const digest = field(shown, 'digest') ?? '';
const { vendor, amount } = shown['arguments'] as typeof payment;
console.log(`${amount} to ${vendor} waits for finance.controller, digest ${digest}`);

const other = `sha256:${'0'.repeat(64)}`;
const refused = await finance.post(
  `${approval}/decision`,
  { decision: 'approve', digest: other },
  randomUUID(),
);
console.log(
  `approved with the digest of another action: ${refused.status} ${field(refused.body, 'code') ?? ''}`,
);
const taken = await finance.post(`${approval}/decision`, { decision: 'approve', digest }, randomUUID());
const drafted = await untilDrafted(field(expectOk(taken, 'approve').body, 'approval', 'action') ?? '');
console.log(`approved with its own digest: ${taken.status}, and payment ${drafted} is drafted`);

/** The effect comes after the decision: an agent polls. */
async function untilDrafted(action: string): Promise<string> {
  for (;;) {
    const { body } = expectOk(await agent.get(`/v1/actions/${action}?wait=25`), 'poll the action');
    const id = field(body, 'output', 'id');
    if (id !== null) return id;
  }
}
