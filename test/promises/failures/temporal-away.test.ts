import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { asSuperuser } from '../../../testing/servers/database.js';
import { action, audit, getRun, parkPayment, startRun, submit, until } from '../../../testing/flows.js';
import { inCampaignsUnless } from '../../../testing/samples.js';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';
import type { Answer } from '../../../testing/servers/stack.js';

// What people decide while Temporal is away is kept and applied later. Anything else is 503, and then nothing comes of it.

const flow = 'vendor-invoice-reconciliation';

describe('while Temporal is away', () => {
  let stack: ShippedStack;
  before(async () => {
    stack = await startShipped({ own: true });
  });
  after(() => stack.stop());

  const decide = (approval: string, digest: string): Promise<Answer> =>
    stack.fetchAs('finance', 'POST', `/v1/approvals/${approval}/decision`, { decision: 'approve', digest });
  const draft = (run: string, vendor: string, key: string): Promise<Answer> =>
    stack.fetchAs(
      'agent',
      'POST',
      `/v1/runs/${run}/transitions/erp.payment.draft`,
      { arguments: { vendor, amount: 10 } },
      { 'idempotency-key': key },
    );
  const drafts = async (vendor: string): Promise<number> =>
    (await stack.services.drafts()).filter(({ body }) => body['vendor'] === vendor).length;
  const isUnavailable = ({ status, body }: Answer): void =>
    assert.deepEqual([status, body.code], [503, 'ENGINE_UNAVAILABLE'], JSON.stringify(body));
  const ready = (): Promise<unknown> =>
    until(
      'everything ready',
      async () => (await stack.fetchAs(null, 'GET', '/readyz')).status === 200,
      60_000,
    );

  /** `away` until `back`: refused or silent. */
  const ways: Record<string, { away(): Promise<void>; back(): Promise<void> }> = {
    'which was killed': {
      away: async () => stack.temporal?.kill('SIGKILL'),
      back: async () => stack.temporal?.restart(),
    },
    'which stands still': {
      away: async () => void process.kill(stack.temporal?.pid ?? 0, 'SIGSTOP'),
      back: async () => void process.kill(stack.temporal?.pid ?? 0, 'SIGCONT'),
    },
  };
  for (const [name, { away, back }] of Object.entries(ways)) {
    it(
      `decisions are kept and applied later; a start, a submit, a cancel and a retry are 503 and never happen: ${name}`,
      inCampaignsUnless(name === 'which was killed'),
      async () => {
        const tag = name.replaceAll(' ', '-');
        const parked = await parkPayment(stack);
        const { run } = await startRun(stack, 'agent', flow, {}, { environment: 'staging' });
        const unsure = { employee: 'e', amount: 100, category: 'unknown' };
        const stuck = (await startRun(stack, 'employee', 'expense_approval', unsure)).run;
        assert.equal(stuck.status, 'stuck');
        const runs = async (): Promise<unknown> => {
          const statement = `select count(*)::int as count from run where status <> 'failed'`;
          return (await asSuperuser(stack.databaseUrl, statement)).rows[0];
        };
        const before = await runs();
        await away();
        try {
          const [decided, sent, started, both, cancelled, retried] = await Promise.all([
            decide(parked.approval, parked.digest),
            draft(run.id, `away-${tag}`, `${tag}-1`),
            stack.fetchAs('agent', 'POST', `/v1/flows/${flow}/runs`, { input: {} }),
            stack.fetchAs('agent', 'POST', `/v1/flows/${flow}/runs`, {
              environment: 'staging',
              submit: { transition: 'erp.payment.draft', arguments: { vendor: `both-${tag}`, amount: 10 } },
            }),
            stack.fetchAs('admin', 'POST', `/v1/runs/${run.id}/cancel`, { reason: 'given up' }),
            stack.fetchAs('admin', 'POST', `/v1/runs/${stuck.id}/retry`, { reason: 'once more' }),
          ]);
          assert.equal(decided.status, 202, JSON.stringify(decided.body));
          for (const reply of [sent, started, both, cancelled, retried]) isUnavailable(reply);
          const { rows } = await asSuperuser(
            stack.databaseUrl,
            `select kind from message where run = any($1) and kind <> 'start' and (withdrawn_at is null or rev is not null)`,
            [[run.id, stuck.id]],
          );
          assert.deepEqual(rows, []);
        } finally {
          await back();
        }
        await ready();
        await action(stack, 'agent', parked.poll, 'executed');
        assert.equal((await audit(stack, parked.run, 'approval.decided')).length, 1);
        // Whatever rings now for what was withdrawn: the run goes on, and nothing of that has happened.
        const next = await submit(stack, 'agent', run.id, 'erp.payment.draft', {
          arguments: { vendor: `after-${tag}`, amount: 10 },
        });
        assert.equal(next.body.result?.status, 'executed', JSON.stringify(next.body));
        assert.equal((await getRun(stack, 'admin', run.id)).run.status, 'running');
        assert.equal((await getRun(stack, 'admin', stuck.id)).run.status, 'stuck');
        assert.deepEqual(await audit(stack, stuck.id, 'run.retried'), []);
        assert.deepEqual(
          [await drafts(`away-${tag}`), await drafts(`both-${tag}`), await drafts(`after-${tag}`)],
          [0, 0, 1],
        );
        assert.deepEqual(await runs(), before);
        // The same request again is the caller's to send, and then it happens, once.
        for (let times = 0; times < 2; times += 1) {
          const again = await draft(run.id, `away-${tag}`, `${tag}-1`);
          assert.equal(again.body.result?.status, 'executed', JSON.stringify(again.body));
        }
        assert.equal(await drafts(`away-${tag}`), 1);
        const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${run.id}/replay`);
        assert.equal(body.ok, true, JSON.stringify(body));
      },
    );
  }
});
