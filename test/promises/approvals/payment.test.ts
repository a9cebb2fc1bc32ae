import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Services } from '../../../testing/services.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';
import { action, audit, decide, getRun, parkPayment, startRun, submit } from '../../../testing/flows.js';

describe('the vendor-invoice-reconciliation agent of seed 000', () => {
  let stack: Stack;
  let services: Services;
  before(async () => {
    ({ stack, services } = await shareStack());
  });

  it('drafts 10,000 at once', async () => {
    const started = await startRun(
      stack,
      'agent',
      'vendor-invoice-reconciliation',
      {},
      { environment: 'staging' },
    );
    const { status, body } = await submit(stack, 'agent', started.run.id, 'erp.payment.draft', {
      arguments: { vendor: 'ACME', amount: 10_000 },
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.result.status, 'executed');
    assert.ok(body.result.output);
  });

  it('parks 60,000 for the controller, who sees the exact action; approved, it runs once', async () => {
    const parked = await parkPayment(stack);
    const seen = await stack.fetchAs('finance', 'GET', `/v1/approvals/${parked.approval}`);
    const approval = seen.body as {
      arguments: unknown;
      digest: string;
      roles: string[];
      requestedBy: { id: string; kind: string };
    };
    assert.deepEqual(approval.arguments, { vendor: 'ACME', amount: 60_000 });
    assert.deepEqual(approval.roles, ['finance.controller']);
    assert.equal(approval.requestedBy.kind, 'agent');
    assert.equal(seen.body.reason, 'asked because amount 60,000 > 50,000, charter line 11');
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    const decided = await decide(stack, 'finance', parked.approval, 'approve', {
      reason: 'invoice 17 matches',
    });
    assert.equal(decided.status, 200, JSON.stringify(decided.body));
    await action(stack, 'agent', parked.poll, 'executed');
    assert.equal((await services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 1);
    const done = await submit(stack, 'agent', parked.run, 'complete');
    assert.equal(done.body.run.status, 'completed');
    const types = (await audit(stack, parked.run)).map((one) => one.type);
    for (const type of [
      'human.approval.requested',
      'approval.decided',
      'approval.consumed',
      'executor.started',
      'executor.succeeded',
      'run.completed',
    ])
      assert.ok(types.includes(type), type);
  });

  it('does not run what was denied', async () => {
    const parked = await parkPayment(stack);
    assert.equal(
      (await decide(stack, 'finance', parked.approval, 'deny', { reason: 'unknown vendor' })).status,
      200,
    );
    await action(stack, 'agent', parked.poll, 'denied');
    assert.equal((await services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 0);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).body.code, 'ALREADY_DECIDED');
  });

  it('blocks the release, and anything that nobody declared', async () => {
    const started = await startRun(
      stack,
      'agent',
      'vendor-invoice-reconciliation',
      {},
      { environment: 'staging' },
    );
    const released = await submit(stack, 'agent', started.run.id, 'erp.payment.release', {
      arguments: { vendor: 'ACME', amount: 1 },
    });
    assert.equal(released.status, 403);
    assert.deepEqual([released.body.code, released.body.rule], ['BLOCKED', 'denied']);
    const other = await submit(stack, 'agent', started.run.id, 'erp.everything.delete');
    assert.deepEqual([other.body.code, other.body.rule], ['BLOCKED', 'undeclared']);
    assert.equal((await audit(stack, started.run.id, 'policy.blocked')).length, 2);
  });

  it('attaches the same request to the open approval', async () => {
    const parked = await parkPayment(stack);
    const again = await submit(stack, 'agent', parked.run, 'erp.payment.draft', {
      arguments: { amount: 60_000, vendor: 'ACME' },
    });
    assert.equal(again.body.result.approval.id, parked.approval);
  });

  it('lets nobody decide who may not: agents, the requester, other roles, another digest', async () => {
    const parked = await parkPayment(stack);
    const path = `/v1/approvals/${parked.approval}/decision`;
    const body = { decision: 'approve', digest: parked.digest };
    assert.equal(
      ((await stack.fetchAs('agent', 'POST', path, body)).body as { code: string }).code,
      'NOT_AN_APPROVER',
    );
    assert.equal(
      ((await stack.fetchAs('manager', 'POST', path, body)).body as { code: string }).code,
      'NOT_AN_APPROVER',
    );
    assert.equal((await stack.fetchAs('employee', 'POST', path, body)).status, 404);
    assert.equal((await stack.fetchAs('finance', 'POST', path, { decision: 'approve' })).status, 428);
    const wrong = await stack.fetchAs('finance', 'POST', path, {
      decision: 'approve',
      digest: `sha256:${'0'.repeat(64)}`,
    });
    assert.equal((wrong.body as { code: string }).code, 'DIGEST_MISMATCH');
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
  });

  it('runs one of two submits at once, and one run for one Idempotency-Key', async () => {
    const started = await startRun(
      stack,
      'agent',
      'vendor-invoice-reconciliation',
      {},
      { environment: 'staging' },
    );
    const both = await Promise.all(
      [1, 2].map(() =>
        submit(stack, 'agent', started.run.id, 'erp.payment.draft', {
          arguments: { vendor: 'TWICE', amount: 10 },
          expectedVersion: 0,
        }),
      ),
    );
    assert.deepEqual(both.map((one) => one.status).sort(), [200, 409]);
    const loser = both.find((one) => one.status === 409);
    assert.ok(['STALE_VERSION', 'RUN_BUSY'].includes(loser?.body.code));
    assert.equal((await services.drafts()).filter((one) => one.key.startsWith(started.run.id)).length, 1);
    const headers = { 'idempotency-key': `start-${started.run.id}` };
    const starts = await Promise.all(
      [1, 2].map(() =>
        stack.fetchAs(
          'agent',
          'POST',
          '/v1/flows/vendor-invoice-reconciliation/runs',
          { input: {} },
          headers,
        ),
      ),
    );
    const third = await stack.fetchAs(
      'agent',
      'POST',
      '/v1/flows/vendor-invoice-reconciliation/runs',
      { input: {} },
      headers,
    );
    const ids = [...starts, third].flatMap((one) =>
      one.status === 201 ? [(one.body as { run: { id: string } }).run.id] : [],
    );
    assert.ok(ids.length >= 2);
    assert.equal(new Set(ids).size, 1);
  });

  it('in shadow is asked, approved and recorded as ever, and does nothing outside', async () => {
    const flow = 'vendor-invoice-reconciliation';
    const { run } = await startRun(stack, 'agent', flow, {}, { environment: 'staging', mode: 'shadow' });
    const sent = await submit(stack, 'agent', run.id, 'erp.payment.draft', {
      arguments: { vendor: 'ACME', amount: 60_000 },
    });
    assert.equal(sent.status, 202, JSON.stringify(sent.body));
    assert.equal((await decide(stack, 'finance', sent.body.result.approval.id, 'approve')).status, 200);
    await action(stack, 'agent', sent.body.result.poll, 'executed');
    const [succeeded] = await audit(stack, run.id, 'executor.succeeded');
    assert.equal(succeeded?.data['mode'], 'shadow');
    assert.deepEqual(
      (await services.drafts()).filter((one) => one.key.startsWith(run.id)),
      [],
    );
  });
});
