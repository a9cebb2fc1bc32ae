import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeNotices } from '../../../src/service/approvals/notices.js';
import { codes, startApi, type Harness } from '../harness.js';

// An approval leaves its run's document when it is settled: whoever asks about it at that moment is told how it ended.

describe('an approval that is settled while a request about it is under way', () => {
  let api: Harness;
  /** Called before each of the API's readings of a run, until it gives true. */
  let meanwhile: (() => Promise<boolean>) | null = null;
  before(async () => {
    api = await startApi((deps) => {
      const query = async (...asked: Parameters<typeof deps.pool.query>): Promise<unknown> => {
        const act = meanwhile;
        if (act !== null && String(asked[0]).includes('from run r where r.id')) {
          meanwhile = null;
          if (!(await act())) meanwhile = act;
        }
        return deps.pool.query(...asked);
      };
      const pool = new Proxy(deps.pool, {
        get: (target, name) => (name === 'query' ? query : (Reflect.get(target, name) as unknown)),
      });
      return { ...deps, pool };
    });
  });
  after(() => api.stop());

  const park = async (): Promise<{ id: string; digest: string; run: string }> => {
    const { run } = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body;
    const path = `/v1/runs/${run.id}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 500 } });
    return { ...asked.body.result.approval, run: run.id };
  };
  const decide = (who: string, { id, digest }: { id: string; digest: string }) =>
    api.ask(who, 'POST', `/v1/approvals/${id}/decision`, { decision: 'approve', digest });

  it('is told to be decided, and by whom; never to be revoked', async () => {
    const made = await api.ask('admin', 'POST', '/v1/keys', {
      ...{ id: 'second', kind: 'human', roles: ['finance.controller'], permissions: [] },
    });
    assert.equal(made.status, 201, made.text);
    const approval = await park();
    meanwhile = async () => (await decide('finance', approval)).status === 200;
    const late = await decide(made.body.key, approval);
    assert.equal(meanwhile, null);
    assert.deepEqual(codes(late), [409, 'ALREADY_DECIDED'], late.text);
    assert.deepEqual([late.body.decidedBy.id, late.body.decision], ['finance', 'approve']);
  });

  it('is listed in an inbox, and told of in a message, as it ended', async () => {
    const settle = (approval: { id: string; digest: string }) => async (): Promise<boolean> => {
      const done = (await decide('finance', approval)).status === 200;
      await api.kernel.settled();
      return done;
    };
    const [listed, told] = [await park(), await park()];
    // A row with its state is used as it was read; for a row that an earlier version wrote, the run is read.
    await api.database.asSuperuser('update approval set state_at = null where id = $1', [listed.id]);
    meanwhile = settle(listed);
    const inbox = await api.ask('finance', 'GET', '/v1/approvals?status=open');
    assert.equal(meanwhile, null);
    const found = inbox.body.data.find((approval: { id: string }) => approval.id === listed.id);
    assert.equal(found.status, 'consumed', inbox.text);
    assert.match(found.may.message, /the approval is consumed: there is nothing left to decide/);
    meanwhile = settle(told);
    const body = await makeNotices(api.deps).body(told.id);
    assert.equal(meanwhile, null);
    assert.equal(body?.['status'], 'consumed');
  });

  it('still says what was asked for to whoever asked for it', async () => {
    const { run } = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body;
    const path = `/v1/runs/${run.id}/transitions/bank.pay`;
    meanwhile = async () => {
      const { rows } = await api.database.pool.query<{ id: string; digest: string }>(
        'select id, digest from approval where run = $1',
        [run.id],
      );
      return rows[0] !== undefined && (await decide('finance', rows[0])).status === 200;
    };
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 500 } });
    assert.equal(meanwhile, null);
    assert.equal(asked.status, 202, asked.text);
    const { approval } = asked.body.result;
    await api.kernel.settled();
    const decided = (await api.ask('finance', 'GET', `/v1/approvals/${approval.id}`)).body;
    assert.equal(decided.status, 'consumed');
    assert.deepEqual(
      decided.quorum,
      { count: 1, approved: 1 },
      'what counted is told after it has left the run',
    );
    assert.deepEqual([approval.digest, approval.roles], [decided.digest, decided.roles]);
    assert.notEqual(approval.digest, '');
  });
});
