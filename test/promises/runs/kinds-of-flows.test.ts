import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';
import { action, audit, decide, getRun, startRun, submit, until } from '../../../testing/flows.js';

// What the two shipped flows do not show: time, people as executors, chains, commands, operators.

const connections = `
connections:
  shell: { kind: cli, command: /bin/sh }
  nowhere: { kind: rest, baseUrl: 'http://127.0.0.1:9', allowPrivate: true }
`;
const roles = `
roles:
  checker: { permissions: [] }
  finance.controller: { permissions: [] }
queues:
  controllers: { roles: [finance.controller] }
`;
const flows = `
workflows:
  timed:
    owner: team
    initialState: waiting
    timeout: 700ms
    onTimeout: { target: late }
    states:
      waiting: { transitions: { go: { target: done } } }
      late: { terminal: true }
      done: { terminal: true }
  gated:
    owner: team
    initialState: open
    states:
      open:
        transitions:
          pay:
            target: done
            tier: reversible
            executor: { kind: noop, output: { paid: true } }
            gate: { roles: [finance.controller], timeout: { after: 500ms, action: deny } }
          leave: { target: done }
      done: { terminal: true }
  asked:
    owner: team
    initialState: draft
    states:
      draft:
        transitions:
          ask:
            target: approved
            onDeny: refused
            executor: { kind: human, queue: controllers }
      approved: { terminal: true }
      refused: { terminal: true, outcome: failure }
  chained:
    owner: team
    initialState: measure
    inputSchema: { type: object, properties: { n: { type: number } }, required: [n] }
    initialContext: { size: null }
    states:
      measure:
        transitions:
          read:
            target: sort
            executor: { kind: cli, connection: shell, tier: null, args: ['-c', 'echo "{\\"n\\": 7}"'] }
            output: { size: '$.output.json.n' }
      sort:
        transitions:
          big: { actor: deterministic, target: large, guards: [{ kind: expr, expr: '$.context.size > 5' }] }
          otherwise: { actor: deterministic, target: small }
      large: { terminal: true }
      small: { terminal: true }
  broken:
    owner: team
    initialState: calling
    states:
      calling:
        onEnter:
          executor: { kind: rest, connection: nowhere, method: POST, path: /x, body: {}, idempotencyKey: true }
        transitions: { go: { target: done } }
      done: { terminal: true }
`.replace(' tier: null,', '');

const joint = joinStack(() => ({
  policies: { 'connections.yaml': connections, 'roles.yaml': roles, 'flows/all.yaml': flows },
}));

describe('flows of every kind', () => {
  let stack: Stack;
  before(async () => {
    stack = await joint();
  });
  const ended = (run: string, status: string) =>
    until(`${run} to be ${status}`, async () =>
      (await getRun(stack, 'admin', run)).run.status === status ? getRun(stack, 'admin', run) : null,
    );

  it('time out by themselves, with nobody calling', async () => {
    const started = await startRun(stack, 'employee', 'timed', {});
    const late = await ended(started.run.id, 'timed_out');
    assert.equal(late.run.state, 'late');
    assert.equal((await audit(stack, started.run.id, 'timeout.fired')).length, 1);
  });

  it('let a gate expire, which denies', async () => {
    const started = await startRun(stack, 'agent', 'gated', {});
    const parked = await submit(stack, 'agent', started.run.id, 'pay');
    assert.equal(parked.status, 202);
    await action(stack, 'agent', parked.body.result.poll, 'expired');
    const path = `/v1/approvals/${parked.body.result.approval.id}/decision`;
    const late = await stack.fetchAs('finance', 'POST', path, {
      decision: 'approve',
      digest: parked.body.result.approval.digest,
    });
    assert.deepEqual([late.status, late.body.code], [410, 'APPROVAL_EXPIRED']);
    assert.equal((await audit(stack, started.run.id, 'approval.decided')).length, 0);
  });

  it('do not lock while a gate is open, and revoke it when the run leaves', async () => {
    const started = await startRun(stack, 'agent', 'gated', {});
    const parked = await submit(stack, 'agent', started.run.id, 'pay');
    assert.equal((await submit(stack, 'agent', started.run.id, 'leave')).body.run.status, 'completed');
    await action(stack, 'agent', parked.body.result.poll, 'revoked');
  });

  it('wait for a person as an executor, who approves or denies', async () => {
    for (const [decision, state, status] of [
      ['approve', 'approved', 'completed'],
      ['deny', 'refused', 'failed'],
    ] as const) {
      const started = await startRun(stack, 'agent', 'asked', {});
      const asked = await submit(stack, 'agent', started.run.id, 'ask');
      assert.equal(asked.status, 202, JSON.stringify(asked.body));
      await decide(stack, 'finance', asked.body.result.approval.id, decision);
      assert.equal((await ended(started.run.id, status)).run.state, state);
    }
  });

  it('map a command to the context and take the deterministic step that fits', async () => {
    const started = await startRun(stack, 'agent', 'chained', { n: 1 });
    const done = await submit(stack, 'agent', started.run.id, 'read');
    assert.equal(done.body.run?.state, 'large', JSON.stringify(done.body));
    assert.deepEqual(done.body.context, { size: 7 });
    assert.deepEqual(
      done.body.chain.map((one: { transition: string }) => one.transition),
      ['big'],
    );
    const refused = await stack.fetchAs('agent', 'POST', '/v1/flows/chained/runs', { input: { n: 'many' } });
    assert.deepEqual([refused.status, refused.body.code], [422, 'INPUT_INVALID']);
  });

  it('are stuck when entering a state fails, for an operator to retry or cancel', async () => {
    const started = await startRun(stack, 'agent', 'broken', {});
    assert.deepEqual([started.run.status, started.run.problem?.code], ['stuck', 'ON_ENTER_FAILED']);
    const path = `/v1/runs/${started.run.id}`;
    const denied = await stack.fetchAs('agent', 'POST', `${path}/retry`, { reason: 'try' });
    assert.equal(denied.status, 403);
    const retried = await stack.fetchAs('admin', 'POST', `${path}/retry`, { reason: 'the service is back' });
    assert.equal(retried.status, 200, JSON.stringify(retried.body));
    await until('stuck again', async () => (await audit(stack, started.run.id, 'run.stuck')).length === 2);
    const cancelled = await stack.fetchAs('admin', 'POST', `${path}/cancel`, { reason: 'given up' });
    assert.equal(cancelled.body.run?.status, 'cancelled', JSON.stringify(cancelled.body));
    const again = await stack.fetchAs('admin', 'POST', `${path}/retry`, { reason: 'once more' });
    assert.equal(again.status, 409);
  });
});
