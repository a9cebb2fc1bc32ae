import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from '../harness.js';
import { signIn, visit } from '../../../testing/browser-forms.js';

// A decision that is kept, but not yet applied by its run, counts as made: its person is not asked again.

interface Parked {
  readonly id: string;
  readonly digest: string;
}

describe('whoever has decided', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    const both = { name: 'both', owner: 'team', permissions: { execute: ['bank.pay'] } };
    const gate = { approver_role: 'finance.controller', quorum: { count: 2 }, timeout: { after: '1h' } };
    const published = await api.ask('admin', 'POST', '/v1/flows', { ...both, approval_gate: gate });
    assert.equal(published.status, 201, published.text);
  });
  after(() => api.stop());

  async function park(flow = 'pay'): Promise<Parked> {
    const started = await api.ask('agent', 'POST', `/v1/flows/${flow}/runs`, {});
    const path = `/v1/runs/${started.body.run.id}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    assert.equal(asked.status, 202, asked.text);
    return asked.body.result.approval;
  }
  const decide = ({ id, digest }: Parked, decision: 'approve' | 'deny'): Promise<Answer> =>
    api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision, digest });
  const mayOf = async ({ id }: Parked, name = 'finance'): Promise<any> =>
    (await api.ask(name, 'GET', `/v1/approvals/${id}`)).body.may;

  const kept =
    /^`finance` has already approved this, at \d{4}-[^:]+:\d\d:[^ ]+: it is kept, and the run has not applied it yet$/;

  it('is offered nothing while the decision waits for its run, by any door, and is told so', async () => {
    const parked = await park();
    assert.equal((await mayOf(parked)).decide, true);
    api.kernel.idle = true;
    assert.equal((await decide(parked, 'approve')).status, 202);

    const may = await mayOf(parked);
    assert.deepEqual([may.decide, may.verbs, may.why], [false, [], 'already_decided']);
    assert.match(may.message, kept);
    const again = await decide(parked, 'deny');
    assert.deepEqual([...codes(again), again.body.decision], [409, 'ALREADY_DECIDED', 'approve']);
    assert.match(again.body.detail, kept);

    const mine = await api.ask('finance', 'GET', '/v1/approvals?mine=true');
    assert.ok(mine.body.data.every((item: Parked) => item.id !== parked.id));
    const link = await api.ask('finance', 'POST', `/v1/approvals/${parked.id}/links`, {});
    assert.deepEqual(codes(link), [409, 'ALREADY_DECIDED']);
    const claim = await api.ask('finance', 'POST', `/v1/approvals/${parked.id}/claim`, {});
    assert.deepEqual(codes(claim), [409, 'ALREADY_DECIDED']);
    assert.match(await pageOf(parked), /Nothing to decide here: `finance` has already approved this/);

    api.kernel.idle = false;
    await api.kernel.settled();
    assert.equal((await mayOf(parked)).why, 'closed');
    const late = await decide(parked, 'deny');
    assert.match(late.body.detail, /nothing left to decide; `finance` approved it at \d{4}-/);
  });

  it('is told that the run has applied it, where the approval waits for others still', async () => {
    const parked = await park('both');
    assert.equal((await decide(parked, 'approve')).status, 200);
    const applied = /^`finance` has already approved this, at .*: the run has applied it$/;
    assert.match((await mayOf(parked)).message, applied);
    assert.match((await decide(parked, 'approve')).body.detail, applied);
    assert.doesNotMatch(await pageOf(parked), /value="approve"/);
  });

  it('is not handed what was decided, by somebody who has not', async () => {
    const parked = await park('both');
    api.kernel.idle = true;
    assert.equal((await decide(parked, 'approve')).status, 202);
    const { key } = (
      await api.ask('admin', 'POST', '/v1/keys', {
        ...{ id: 'second', kind: 'human', roles: ['finance.controller'] },
      })
    ).body;
    assert.equal((await mayOf(parked, key)).decide, true, 'another one decides still');
    const handed = await api.ask(key, 'POST', `/v1/approvals/${parked.id}/delegate`, { to: 'finance' });
    assert.deepEqual([...codes(handed), handed.body.why], [422, 'DELEGATE_UNFIT', 'already_decided']);
    api.kernel.idle = false;
    await api.kernel.settled();
  });

  async function pageOf({ id }: Parked): Promise<string> {
    const cookie = await signIn(api.url, api.keys['finance'] ?? '');
    return (await visit(`${api.url}/approvals/${id}`, cookie)).text;
  }
});
