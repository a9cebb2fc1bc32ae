import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { audit, startRun, submit } from '../../testing/flows.js';
import { startStack, type Stack } from '../../testing/stack.js';

// Nobody is asked to approve a call that its environment has no connection for.

const policies: Readonly<Record<string, string>> = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'environments.yaml': 'environments: { dev: {}, live: {} }\n',
  'connections.yaml': 'connections: { erp: { environments: { live: { kind: cli, command: /bin/echo } } } }\n',
  'tools/pay.yaml':
    'tools: [{ name: pay, tier: irreversible, executor: { kind: cli, connection: erp, args: [pay] } }]\n',
  'flows/payer.json': JSON.stringify({ name: 'payer', owner: 'team', permissions: { execute: ['pay'] } }),
};

describe('a call without a connection in its environment', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ policies });
  });
  after(() => stack.stop());

  it('is refused when it is asked for, naming the connection, and nobody is asked', async () => {
    const { run } = await startRun(stack, 'agent', 'payer');
    const { status, body } = await submit(stack, 'agent', run.id, 'pay');
    const { code, rule, detail } = body as Record<string, unknown>;
    assert.deepEqual([status, code, rule], [403, 'BLOCKED', 'environment'], JSON.stringify(body));
    assert.match(String(detail), /`pay` cannot be asked for: environment `dev` has no connection `erp`/);
    assert.equal((await audit(stack, run.id, 'human.approval.requested')).length, 0);
    assert.equal((await audit(stack, run.id, 'transition.rejected')).length, 1);
  });
});
