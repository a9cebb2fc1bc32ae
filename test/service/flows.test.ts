import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { checkFlow, publishFlow, type FlowText } from '../../src/service/flows/publish-text.js';
import { diffVersions, readFlow, readVersion } from '../../src/service/flows/read.js';
import { reloadPolicies } from '../../src/service/flows/reload.js';
import { withdrawFlow } from '../../src/service/flows/withdraw.js';
import { startRun } from '../../src/service/runs/start.js';
import { callerOf, makeGround, refusedWith, taken, type Ground } from './callers.js';

describe('a flow, published by no door', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
  });
  after(() => ground.stop());
  const as = (name: string) => callerOf(ground, name);
  const textOf = (execute: readonly string[]): FlowText => {
    const flow = { name: 'desk', owner: 'team', permissions: { execute } };
    return { media: 'json', bytes: Buffer.from(JSON.stringify(flow)) };
  };

  it('becomes a version, is told of, compared and withdrawn', async () => {
    const first = taken(await publishFlow(await as('admin'), textOf(['bank.pay'])));
    assert.deepEqual([first.flow.version, first.flow.created], [1, true]);
    assert.equal(taken(await publishFlow(await as('admin'), textOf(['bank.pay']))).flow.created, false);
    assert.equal(
      taken(await publishFlow(await as('admin'), textOf(['bank.pay', 'bank.wire']))).flow.version,
      2,
    );
    const { body } = taken(await diffVersions(await as('admin'), 'desk', { from: 1, to: 2 }));
    assert.match(JSON.stringify(body), /the charter now lets the flow execute `bank.wire`/);
    taken(await readVersion(await as('admin'), 'desk', 2));
    assert.equal(refusedWith(await readVersion(await as('admin'), 'desk', 3)).code, 'NOT_FOUND');
    taken(await withdrawFlow(await as('admin'), 'desk', 'not wanted'));
    assert.equal(taken(await readFlow(await as('admin'), 'desk')).kind, 'flow');
    assert.equal(refusedWith(await startRun(await as('agent'), 'desk', {}, 0)).code, 'FLOW_WITHDRAWN');
  });

  it('is refused with what is wrong in it, and where', async () => {
    const checked = taken(await checkFlow(await as('agent'), textOf(['no.such'])));
    assert.equal(checked.valid, false);
    const refused = refusedWith(await publishFlow(await as('admin'), textOf(['no.such'])));
    assert.deepEqual([refused.code, refused.extra['errors']], ['FLOW_INVALID', checked.errors]);
  });

  it('loads with the folder, of which no agent confirms what is taken away', async () => {
    assert.deepEqual(taken(await reloadPolicies(await as('admin'), [])).kind, 'reloaded');
    const agent = await as('agent');
    assert.equal(refusedWith(await reloadPolicies(agent, [])).code, 'FORBIDDEN');
    const mayReload = { ...agent, principal: { ...agent.principal, permissions: ['policy.reload'] } };
    assert.equal(refusedWith(await reloadPolicies(mayReload, ['dev'])).code, 'HUMANS_ONLY');
  });
});
