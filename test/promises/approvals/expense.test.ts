import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Services } from '../../../testing/services.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';
import { audit, getRun, startRun, submit, until } from '../../../testing/flows.js';
import { inCampaigns } from '../../../testing/samples.js';

// Every path of seed 003's expense approval, over HTTP, with the real classifier and payroll.

describe('the expense flow of seed 003', () => {
  let stack: Stack;
  let services: Services;
  before(async () => {
    ({ stack, services } = await shareStack());
  });
  const start = (amount: number, category = 'travel') =>
    startRun(stack, 'employee', 'expense_approval', { employee: 'e-1', amount, category });

  it('offers only the rejection when the policy says no, and ends rejected', async () => {
    const started = await start(50, 'gambling');
    assert.deepEqual(
      started.links.map((one) => one.rel),
      ['policy_reject'],
    );
    const refused = await submit(stack, 'employee', started.run.id, 'to_manager');
    assert.equal(refused.status, 403);
    assert.equal(refused.body.code, 'GUARD_REJECTED');
    assert.equal(refused.body.guard.index, 0);
    assert.deepEqual(
      refused.body.links.map((one: { rel: string }) => one.rel),
      ['policy_reject'],
    );
    const { body } = await submit(stack, 'employee', started.run.id, 'policy_reject');
    assert.equal(body.run.state, 'rejected');
    assert.equal(body.run.status, 'completed');
  });

  it('pays once after the manager alone, for a small amount', async () => {
    const started = await start(100);
    assert.equal(started.run.version, 1);
    await submit(stack, 'employee', started.run.id, 'to_manager');
    const wrong = await submit(stack, 'manager', started.run.id, 'approve_to_finance');
    assert.equal(wrong.body.code, 'GUARD_REJECTED');
    const approved = await submit(stack, 'manager', started.run.id, 'approve', { expectedVersion: 2 });
    assert.equal(approved.status, 200, JSON.stringify(approved.body));
    assert.equal(approved.body.run.state, 'reimbursement');
    assert.equal(approved.body.run.version, 4);
    const paid = await submit(stack, 'employee', started.run.id, 'mark_paid');
    assert.equal(paid.body.run.status, 'completed');
    assert.equal((await services.payments()).filter((one) => one.key.startsWith(started.run.id)).length, 1);
  });

  it('goes through manager and finance for a large amount', async () => {
    const started = await start(5_000);
    await submit(stack, 'employee', started.run.id, 'to_manager');
    const forwarded = await submit(stack, 'manager', started.run.id, 'approve_to_finance');
    assert.equal(forwarded.body.run.state, 'finance_review');
    const early = await submit(stack, 'manager', started.run.id, 'finance_approve');
    assert.equal(early.body.code, 'GUARD_REJECTED');
    const approved = await submit(stack, 'finance', started.run.id, 'finance_approve');
    assert.equal(approved.body.run.state, 'reimbursement');
  });

  it('ends rejected when the manager or finance says no', inCampaigns, async () => {
    const first = await start(100);
    await submit(stack, 'employee', first.run.id, 'to_manager');
    assert.equal((await submit(stack, 'manager', first.run.id, 'reject')).body.run.state, 'rejected');
    const second = await start(5_000);
    await submit(stack, 'employee', second.run.id, 'to_manager');
    await submit(stack, 'manager', second.run.id, 'approve_to_finance');
    assert.equal(
      (await submit(stack, 'finance', second.run.id, 'finance_reject')).body.run.state,
      'rejected',
    );
  });

  it('says that it is stuck, and why, when the classifier answers nothing', async () => {
    const started = await start(100, 'unknown');
    assert.equal(started.run.status, 'stuck');
    assert.equal(started.run.problem?.code, 'NO_ELIGIBLE_TRANSITION');
    assert.match(started.run.problem?.message ?? '', /policyOk/);
    assert.deepEqual(started.links, []);
    assert.equal((await submit(stack, 'employee', started.run.id, 'to_manager')).body.code, 'RUN_STUCK');
  });

  it('tries payroll again with one key after 503 and 503, and pays once', async () => {
    const started = await start(100);
    await submit(stack, 'employee', started.run.id, 'to_manager');
    await services.failPayroll([503, 503]);
    const approved = await submit(stack, 'manager', started.run.id, 'approve');
    const settled =
      approved.status === 200
        ? approved.body
        : await until('the payment', async () =>
            (await getRun(stack, 'manager', started.run.id)).run.version === 4
              ? getRun(stack, 'manager', started.run.id)
              : null,
          );
    assert.equal(settled.run.state, 'reimbursement');
    assert.equal((await services.payments()).filter((one) => one.key.startsWith(started.run.id)).length, 1);
    const records = await audit(stack, started.run.id);
    const attempts = records.filter(
      (one) => one.type === 'executor.started' && one.data['connection'] === 'payroll',
    );
    assert.equal(attempts.length, 3);
    assert.equal(new Set(attempts.map((one) => one.data['idempotencyKey'])).size, 1);
    assert.equal(records.filter((one) => one.type === 'executor.retrying').length, 2);
  });

  it('refuses an agent at every human step, whatever its payload says', async () => {
    const started = await startRun(stack, 'agent', 'expense_approval', {
      employee: 'e-1',
      amount: 100,
      category: 'travel',
      kind: 'human',
      principal: { kind: 'human' },
    });
    await submit(stack, 'agent', started.run.id, 'to_manager');
    for (const rel of ['approve', 'approve_to_finance', 'reject']) {
      const refused = await submit(stack, 'agent', started.run.id, rel, { arguments: {} });
      assert.equal(refused.status, 403);
      assert.equal(refused.body.code, 'ACTOR_MISMATCH');
      const dressed = await submit(stack, 'agent', started.run.id, rel, {
        arguments: { kind: 'human', actor: 'human' },
      });
      assert.equal(dressed.body.code, 'ACTOR_MISMATCH');
    }
    assert.equal((await getRun(stack, 'agent', started.run.id)).run.state, 'manager_review');
  });

  it('keeps one chain without a gap from start to end', async () => {
    const started = await start(100);
    await submit(stack, 'employee', started.run.id, 'to_manager');
    await submit(stack, 'manager', started.run.id, 'reject');
    const own = (await audit(stack, started.run.id)).filter((one) => one.chain === 'run');
    assert.deepEqual(
      own.map((one) => one.runSeq),
      own.map((_, index) => index),
    );
    for (const [index, one] of own.entries())
      assert.equal(one.prev, index === 0 ? null : own[index - 1]?.hash);
    assert.equal(own[0]?.type, 'run.started');
    assert.equal(own.at(-1)?.type, 'run.completed');
  });
});
