import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Client, Connection, WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import { asSuperuser } from '../../../testing/servers/database.js';
import { action, audit, decide, getRun, startRun, submit, until } from '../../../testing/flows.js';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import { inCampaigns, inCampaignsUnless } from '../../../testing/samples.js';
import type { Answer, Stack } from '../../../testing/servers/stack.js';

// Whoever may write to Temporal can end a run's workflow, and Temporal can be restored: the store alone says that a run is
// closed. An open run that has lost its workflow is found, is stuck on record, and goes on with an operator.

const namespace = 'countersign-dev';
const policies = {
  'roles.yaml': 'version: 1\nroles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml':
    "version: 1\nconnections: { target: { kind: rest, baseUrl: 'env://TARGET_URL', allowPrivate: true } }\n",
  'flows/pay.yaml': `
version: 1
workflows:
  pay:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          pay:
            target: open
            tier: reversible
            gate: { roles: [finance.controller] }
            executor: { kind: rest, connection: target, method: POST, path: /pay, idempotencyKey: true }
          send:
            target: open
            tier: reversible
            executor: { kind: rest, connection: target, method: POST, path: /send, idempotencyKey: true }
          end: { target: done }
      done: { terminal: true }
`,
};

interface Target {
  readonly url: string;
  /** By the idempotency keys that begin with the run's id. */
  calls(run: string): number;
  /** The most that were under way at a time under one key. */
  mostAtOnce(): number;
  hold(): void;
  /** Answers what is held, and all that comes. */
  release(): void;
  close(): Promise<void>;
}

async function startTarget(): Promise<Target> {
  const keys: string[] = [];
  const underWay: string[] = [];
  const held: (() => void)[] = [];
  let isHolding = false;
  let most = 0;
  const answer = (response: ServerResponse, key: string): void => {
    underWay.splice(underWay.indexOf(key), 1);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const key = String(request.headers['idempotency-key']);
      keys.push(key);
      underWay.push(key);
      most = Math.max(most, underWay.filter((one) => one === key).length);
      if (isHolding) held.push(() => answer(response, key));
      else answer(response, key);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: (run) => keys.filter((key) => key.startsWith(run)).length,
    mostAtOnce: () => most,
    hold: () => {
      isHolding = true;
    },
    release: () => {
      isHolding = false;
      for (const end of held.splice(0)) end();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

let target: Target;
const joint = joinStack(async () => {
  target = await startTarget();
  return { env: { TARGET_URL: target.url }, policies };
});

describe('an open run whose workflow is gone from Temporal', () => {
  let stack: Stack;
  let connection: Connection;
  before(async () => {
    stack = await joint();
    connection = await Connection.connect({ address: stack.temporalAddress });
  });
  after(async () => {
    await connection.close();
    await target.close();
  });

  const handleOf = (run: string): WorkflowHandle =>
    new Client({ connection, namespace }).workflow.getHandle(run);
  const open = async (): Promise<string> => (await startRun(stack, 'agent', 'pay', {})).run.id;
  const parked = async (): Promise<{ run: string; approval: string; poll: string }> => {
    const run = await open();
    const { status, body } = await submit(stack, 'agent', run, 'pay');
    assert.equal(status, 202, JSON.stringify(body));
    return { run, approval: body.result.approval.id, poll: body.result.poll };
  };
  const operate = (run: string, what: 'cancel' | 'retry', query = ''): Promise<Answer> =>
    stack.fetchAs('admin', 'POST', `/v1/runs/${run}/${what}${query}`, { reason: 'seen' });
  const stuck = (run: string): Promise<unknown> =>
    until(`${run} to be stuck`, async () => {
      const { run: now } = await getRun(stack, 'admin', run);
      if (now.status !== 'stuck') return null;
      assert.equal(now.problem?.code, 'HISTORY_FORKED');
      assert.match(
        now.problem.message,
        /Temporal had no open workflow of this run.*was COUNTERSIGN_TASK_QUEUE changed.*or failed \(its history was full/,
      );
      return true;
    });
  const overdue = (run: string): Promise<unknown> =>
    asSuperuser(stack.databaseUrl, 'update run set check_at = 0 where id = $1', [run]);
  const counted = async (): Promise<number> => {
    const { body } = await stack.fetchAs('admin', 'GET', '/metrics');
    return Number(/^countersign_workflows_lost_total (\d+)$/m.exec(String(body))?.[1]);
  };
  const isVerified = async (run: string): Promise<void> => {
    const own = (await audit(stack, run)).filter(({ chain }) => chain === 'run');
    own.sort((a, b) => a.runSeq - b.runSeq);
    for (const [index, record] of own.entries())
      assert.deepEqual(
        [record.runSeq, record.prev],
        [index, index === 0 ? null : (own[index - 1]?.hash ?? '')],
      );
  };

  const ways: Record<string, (run: string) => Promise<void>> = {
    'was terminated': async (run) => void (await handleOf(run).terminate('by somebody')),
    'was deleted with its history': async (run) => {
      await connection.workflowService.deleteWorkflowExecution({
        namespace,
        workflowExecution: { workflowId: run },
      });
      await until('it to be deleted', async () => {
        try {
          await handleOf(run).describe();
          return null;
        } catch (error) {
          assert.ok(error instanceof WorkflowNotFoundError);
          return true;
        }
      });
    },
  };
  for (const [how, lose] of Object.entries(ways))
    it(
      `is stuck once somebody decides: the decision counts, a retry goes on, and what was approved is done once (${how})`,
      inCampaignsUnless(how === 'was terminated'),
      async () => {
        const { run, approval, poll } = await parked();
        const before = await counted();
        await lose(run);
        const decided = await decide(stack, 'finance', approval, 'approve');
        assert.equal(decided.status, 200, JSON.stringify(decided.body));
        await stuck(run);
        assert.equal(target.calls(run), 0, 'nothing goes on before an operator has looked');
        assert.equal((await audit(stack, run, 'run.stuck')).length, 1);
        assert.equal((await audit(stack, run, 'approval.decided')).length, 1);
        assert.equal(await counted(), before + 1);
        assert.equal(
          stack.logs().split(`run \`${run}\` is waiting, and Temporal had no open workflow of it`).length,
          2,
        );
        const retried = await operate(run, 'retry');
        assert.equal(retried.status, 200, JSON.stringify(retried.body));
        await action(stack, 'agent', poll, 'executed');
        assert.equal(target.calls(run), 1);
        assert.equal((await submit(stack, 'agent', run, 'end')).body.run?.status, 'completed');
        const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${run}/replay`);
        assert.equal(body.ok, true, JSON.stringify(body));
        await isVerified(run);
        await handleOf(run).result();
      },
    );

  it('answers an agent that it is stuck, and an operator who cancels it', async () => {
    const { run } = await parked();
    await handleOf(run).terminate('by somebody');
    const sent = await submit(stack, 'agent', run, 'send');
    assert.deepEqual([sent.status, sent.body.code], [409, 'RUN_STUCK'], JSON.stringify(sent.body));
    // Again, while it is stuck.
    await handleOf(run).terminate('by somebody');
    const cancelled = await operate(run, 'cancel');
    assert.equal(cancelled.body.run?.status, 'cancelled', JSON.stringify(cancelled.body));
    assert.equal(target.calls(run), 0);
    await isVerified(run);
    await handleOf(run).result();
  });

  it('is found though nobody asks it anything, once something is overdue; one that has its workflow goes on as it was', async () => {
    const lost = await parked();
    const kept = await parked();
    await handleOf(lost.run).terminate('by somebody');
    const history = async (): Promise<number> =>
      (await handleOf(kept.run).fetchHistory()).events?.length ?? 0;
    const [events, records] = [await history(), (await audit(stack, kept.run)).length];
    await Promise.all([overdue(lost.run), overdue(kept.run)]);
    await stuck(lost.run);
    await until('its workflow to look', async () => (await history()) > events);
    assert.equal((await getRun(stack, 'agent', kept.run)).run.status, 'waiting');
    assert.equal((await audit(stack, kept.run)).length, records);
    assert.equal((await decide(stack, 'finance', kept.approval, 'approve')).status, 200);
    await action(stack, 'agent', kept.poll, 'executed');
  });

  const strangers = (type: string, taskQueue: string) => async (run: string) => {
    await handleOf(run).terminate('by somebody');
    const { workflow } = new Client({ connection, namespace });
    await workflow.start(type, {
      ...{ workflowId: run, taskQueue, args: [], workflowIdReusePolicy: 'ALLOW_DUPLICATE' },
    });
  };
  const held: Record<string, (run: string) => Promise<unknown>> = {
    'is open in the name of a stranger': strangers('other', 'elsewhere'),
    'is open on another task queue': strangers('run', 'elsewhere'),
    'is pinned to other workers': (run) =>
      connection.workflowService.updateWorkflowExecutionOptions({
        namespace,
        workflowExecution: { workflowId: run },
        workflowExecutionOptions: {
          versioningOverride: { behavior: 1, pinnedVersion: 'theirs.1' },
        },
        updateMask: { paths: ['versioning_override'] },
      }),
  };
  for (const [how, hold] of Object.entries(held))
    it(
      `is found where its workflow ${how}: it is stuck, a retry goes on, and a decision made meanwhile counts`,
      inCampaignsUnless(how === Object.keys(held)[0]),
      async () => {
        const { run, approval, poll } = await parked();
        const before = await counted();
        await hold(run);
        const decided = await decide(stack, 'finance', approval, 'approve');
        assert.equal(decided.status, 202, JSON.stringify(decided.body));
        assert.equal(target.calls(run), 0);
        await overdue(run);
        await stuck(run);
        assert.equal(await counted(), before + 1);
        const retried = await operate(run, 'retry');
        assert.equal(retried.status, 200, JSON.stringify(retried.body));
        await action(stack, 'agent', poll, 'executed');
        assert.equal(target.calls(run), 1);
        assert.equal((await submit(stack, 'agent', run, 'end')).body.run?.status, 'completed');
        await isVerified(run);
        await handleOf(run).result();
      },
    );

  it('that has taken no step begins as if nothing had been', async () => {
    await stack.worker.kill('SIGTERM');
    const sent = await stack.fetchAs('agent', 'POST', '/v1/flows/pay/runs?wait=0', { input: {} });
    const run = String(sent.body.run?.id);
    try {
      await handleOf(run).terminate('by somebody');
    } finally {
      await stack.worker.restart();
    }
    await asSuperuser(stack.databaseUrl, 'update message set next_at = now() where run = $1', [run]);
    await until('its first step', async () => (await audit(stack, run, 'run.started')).length === 1);
    const paid = await submit(stack, 'agent', run, 'send');
    assert.equal(paid.body.result?.status, 'executed', JSON.stringify(paid.body));
    assert.equal((await audit(stack, run, 'run.stuck')).length, 0);
  });

  it(
    'while its effect is under way, never has it done twice at a time, whatever an operator does',
    inCampaigns,
    async () => {
      const run = await open();
      target.hold();
      try {
        await stack.fetchAs('agent', 'POST', `/v1/runs/${run}/transitions/send?wait=0`, {});
        await until('the call', async () => target.calls(run) === 1);
        await handleOf(run).terminate('by somebody');
        await overdue(run);
        await stuck(run);
        assert.equal((await audit(stack, run, 'executor.unknown')).length, 1);
        // The call has not ended: what is retried waits for it.
        assert.ok((await operate(run, 'retry', '?wait=0')).status < 300);
        await until('its execution to ask', async () => {
          const { pendingActivities = [] } = (await handleOf(run).describe()).raw;
          return (pendingActivities ?? []).some((one) =>
            one.lastFailure?.message?.includes('another execution'),
          );
        });
        assert.equal(target.calls(run), 1);
      } finally {
        target.release();
      }
      await until('the second call', async () => target.calls(run) === 2);
      await until('its end', async () => (await audit(stack, run, 'executor.succeeded')).length === 1);
      assert.equal(target.mostAtOnce(), 1);
      assert.equal((await submit(stack, 'agent', run, 'end')).body.run?.status, 'completed');
      await isVerified(run);
    },
  );
});
