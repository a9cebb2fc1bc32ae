// An expense from the classifier to payroll: people approve it, payroll fails once, and it is paid once.
import { randomUUID } from 'node:crypto';
import { connect, expectOk, field, told, type Api } from '../client.js';

const payroll = process.env['PAYROLL_URL'] ?? `http://127.0.0.1:${told('ports.json', 'payroll')}`;
const input = { employee: `e-${randomUUID().slice(0, 8)}`, amount: 2_400, category: 'travel' };
const [employee, manager, finance] = [connect('employee'), connect('manager'), connect('finance')];

await fetch(`${payroll}/_fail`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ statuses: [503] }),
});
const filed = await employee.post('/v1/flows/expense_approval/runs?wait=25', { input }, randomUUID());
const run = field(expectOk(filed, 'file the expense').body, 'run', 'id') ?? '';
console.log(`run ${run}: ${input.amount} for travel, as the classifier says within policy`);
await submit(employee, 'to_manager');
await submit(manager, 'approve_to_finance');
await submit(finance, 'finance_approve');
await submit(employee, 'mark_paid');

const { body } = expectOk(
  await connect('auditor').get(`/v1/runs/${run}/audit?limit=500`),
  'read the records',
);
console.log(`calls of payroll that were repeated: ${count(body['data'], 'type', 'executor.retrying')}`);
const book = (await (await fetch(`${payroll}/reimbursements`)).json()) as Record<string, unknown>;
console.log(
  `payments that payroll has made of it: ${count(book['reimbursements'], 'employee', input.employee)}`,
);

/** `wait=25`: answered when the run has settled, at the latest after so many seconds. */
async function submit(who: Api, transition: string): Promise<void> {
  const answer = await who.post(`/v1/runs/${run}/transitions/${transition}?wait=25`, {}, randomUUID());
  console.log(`${transition}: the run is ${field(expectOk(answer, transition).body, 'run', 'state') ?? ''}`);
}

function count(items: unknown, name: string, value: string): number {
  return Array.isArray(items) ? items.filter((item) => field(item, name) === value).length : 0;
}
