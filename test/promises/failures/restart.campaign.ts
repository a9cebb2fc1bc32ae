import assert from 'node:assert/strict';
import type { Principal } from '../../../src/model/principal.js';
import { after, before, describe, it } from 'node:test';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';
import { bellOf } from '../../../src/auth/index.js';
import { makePool } from '../../../src/db/index.js';
import { keepDecision, ring } from '../../../testing/bells.js';
import { holdRun } from '../../../testing/servers/locks.js';
import type { Stack } from '../../../testing/servers/stack.js';
import {
  action,
  audit,
  decide,
  getRun,
  parkPayment,
  startRun,
  submit,
  until,
} from '../../../testing/flows.js';

// A gate survives whatever dies. Processes are killed, not told to pretend.

describe('a run that is parked at its gate', () => {
  let stack: ShippedStack;
  before(async () => {
    stack = await startShipped({ own: true });
  });
  after(() => stack.stop());

  const victims: Record<string, (stack: Stack) => Promise<void>> = {
    worker: async ({ worker }) => {
      await worker.kill('SIGKILL');
      await worker.restart();
    },
    API: async ({ api }) => {
      await api.kill('SIGKILL');
      await api.restart();
    },
    Temporal: async ({ temporal }) => {
      await temporal?.kill('SIGKILL');
      await temporal?.restart();
    },
    Postgres: async ({ postgres }) => {
      await postgres?.kill('SIGKILL');
      await postgres?.restart();
    },
    'all of them': async ({ api, worker, temporal, postgres }) => {
      await Promise.all([api.kill('SIGTERM'), worker.kill('SIGTERM')]);
      await temporal?.kill('SIGTERM');
      await postgres?.kill('SIGINT');
      await Promise.all([temporal?.restart(), postgres?.restart()]);
      await Promise.all([api.restart(), worker.restart()]);
    },
  };
  for (const [name, kill] of Object.entries(victims)) {
    it(`completes once, with all its records, after the end of ${name}`, async () => {
      const parked = await parkPayment(stack);
      await kill(stack);
      await until(
        'everything ready',
        async () => (await stack.fetchAs(null, 'GET', '/readyz')).status === 200,
      );
      const decided = await decide(stack, 'finance', parked.approval, 'approve');
      assert.ok([200, 202].includes(decided.status), JSON.stringify(decided.body));
      await action(stack, 'agent', parked.poll, 'executed');
      assert.equal((await stack.services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 1);
      const own = (await audit(stack, parked.run)).filter((one) => one.chain === 'run');
      assert.deepEqual(
        own.map((one) => one.runSeq),
        own.map((_, index) => index),
      );
      for (const type of ['approval.decided', 'executor.started', 'executor.succeeded'])
        assert.equal(own.filter((one) => one.type === type).length, 1, type);
    });
  }

  it('takes a decision while no worker is up, and acts on it when one is', async () => {
    const parked = await parkPayment(stack);
    await stack.worker.kill('SIGKILL');
    const decided = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(decided.status, 202, JSON.stringify(decided.body));
    assert.equal(decided.body.decision.status, 'accepted');
    await stack.worker.restart();
    await action(stack, 'agent', parked.poll, 'executed');
    const { body } = await stack.fetchAs('finance', 'GET', decided.body.decision.href);
    assert.equal((body as { status: string }).status, 'applied');
  });

  it('takes a start with its submit while no worker is up, and asks for the decision once one is', async () => {
    await stack.worker.kill('SIGKILL');
    const path = '/v1/flows/vendor-invoice-reconciliation/runs?wait=1';
    const taken = await stack.fetchAs('agent', 'POST', path, {
      environment: 'staging',
      submit: { transition: 'erp.payment.draft', arguments: { vendor: 'ACME', amount: 60_000 } },
    });
    assert.deepEqual(
      [taken.status, taken.body.result.status],
      [202, 'executing'],
      JSON.stringify(taken.body),
    );
    await stack.worker.restart();
    await action(stack, 'agent', taken.body.result.poll, 'pending');
    const run = taken.body.run.id as string;
    const { body } = await stack.fetchAs('agent', 'GET', `/v1/runs/${run}`);
    assert.equal(body.approvals.length, 1);
    await decide(stack, 'finance', body.approvals[0].id, 'approve');
    await action(stack, 'agent', taken.body.result.poll, 'executed');
    assert.equal((await stack.services.drafts()).filter((one) => one.key.startsWith(run)).length, 1);
  });

  it('makes one record and one effect of a worker killed inside an executor', async () => {
    const started = await startRun(
      stack,
      'agent',
      'vendor-invoice-reconciliation',
      {},
      { environment: 'staging' },
    );
    await stack.services.holdErp(5_000);
    const submitted = submit(stack, 'agent', started.run.id, 'erp.payment.draft', {
      arguments: { vendor: 'HELD', amount: 10 },
    });
    await until('the effect', async () =>
      (await stack.services.drafts()).some((one) => one.key.startsWith(started.run.id)),
    );
    await stack.worker.kill('SIGKILL');
    await stack.worker.restart();
    await submitted;
    await until(
      'the run to settle',
      async () => (await getRun(stack, 'agent', started.run.id)).run.version === 1,
    );
    assert.equal(
      (await stack.services.drafts()).filter((one) => one.key.startsWith(started.run.id)).length,
      1,
    );
    const own = await audit(stack, started.run.id);
    assert.equal(own.filter((one) => one.type === 'executor.started').length, 1);
    assert.equal(own.filter((one) => one.type === 'executor.succeeded').length, 1);
  });

  it('makes one record of a worker killed inside a policy check', async () => {
    const parked = await parkPayment(stack);
    const pool = makePool({ url: stack.databaseUrl, applicationName: 'restart', max: 2 });
    const by: Principal = { id: 'finance', kind: 'human', roles: ['finance.controller'], permissions: [] };
    const decision = await keepDecision(stack, pool, by, parked);
    await pool.end();
    const hold = await holdRun(stack.databaseUrl, parked.run);
    await ring(stack, parked.run, bellOf(decision));
    await until('the policy check at the row', () => hold.someoneWaits());
    await stack.worker.kill('SIGKILL');
    await hold.release();
    await stack.worker.restart();
    await action(stack, 'agent', parked.poll, 'executed');
    assert.equal((await audit(stack, parked.run, 'approval.decided')).length, 1);
    assert.equal((await stack.services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 1);
  });

  it('executes nothing while Postgres is away, says so, and recovers by itself', async () => {
    const parked = await parkPayment(stack);
    const { digest, approval } = parked;
    const drafts = (await stack.services.drafts()).length;
    await stack.postgres?.kill('SIGKILL');
    const refused = await stack.fetchAs('finance', 'POST', `/v1/approvals/${approval}/decision`, {
      decision: 'approve',
      digest,
    });
    assert.equal(refused.status, 503);
    assert.equal((refused.body as { code: string }).code, 'AUDIT_UNAVAILABLE');
    const start = await stack.fetchAs('agent', 'POST', '/v1/flows/vendor-invoice-reconciliation/runs', {
      input: {},
    });
    assert.equal(start.status, 503);
    assert.equal((await stack.services.drafts()).length, drafts);
    await stack.postgres?.restart();
    await until('readiness', async () => (await stack.fetchAs(null, 'GET', '/readyz')).status === 200);
    await decide(stack, 'finance', approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
  });
});
