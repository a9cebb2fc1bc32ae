import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('the kept answer of an idempotency key', () => {
  let api: Harness;
  /** Changes the store as if the process had died after it kept the answer, before the call was on record. */
  let diesOnceKept = false;
  let answerKey = Buffer.alloc(32, 1);
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      get answerKey() {
        return answerKey;
      },
      chain: {
        ...deps.chain,
        append: (facts) =>
          diesOnceKept && facts.some(({ type }) => type === 'api.called')
            ? Promise.reject(new Error('the process has died'))
            : deps.chain.append(facts),
      },
      onInternalError: () => undefined,
    }));
  });
  after(() => api.stop());

  let made = 0;
  /** One principal, with another key each time that its permissions change. */
  const person = async (
    permissions: string[],
    roles: string[] = [],
    id = `person-${(made += 1)}`,
  ): Promise<{ id: string; key: string }> => {
    const body = { id, kind: 'human', roles, permissions };
    const answer = await api.ask('admin', 'POST', '/v1/keys', body);
    assert.equal(answer.status, 201, answer.text);
    return { id, key: answer.body.key };
  };
  const headers = { 'idempotency-key': 'once' };
  const isReplayed = ({ headers: sent }: Answer): boolean => sent.get('idempotency-replayed') === 'true';

  it('is given again to who may ask for it still', async () => {
    const { key } = await person(['run.start']);
    const ask = (): Promise<Answer> => api.ask(key, 'POST', '/v1/flows/pay/runs', {}, headers);
    const [first, again] = [await ask(), await ask()];
    assert.equal(first.status, 201);
    assert.ok(isReplayed(again));
    assert.equal(again.text, first.text);
  });

  it('is told as one that does not open, for now, where another key-encryption key has sealed it', async () => {
    const { key } = await person(['run.start']);
    const ask = (): Promise<Answer> => api.ask(key, 'POST', '/v1/flows/pay/runs', {}, headers);
    const first = await ask();
    answerKey = Buffer.alloc(32, 2);
    const unopened = await ask();
    answerKey = Buffer.alloc(32, 1);
    assert.deepEqual(codes(unopened), [503, 'KEY_UNOPENED'], unopened.text);
    assert.equal(unopened.headers.get('retry-after'), '2');
    assert.match(
      unopened.body.detail,
      /this request was answered, .+`COUNTERSIGN_KEK`.+another key would have it done twice$/,
    );
    assert.ok(!isReplayed(unopened));
    const again = await ask();
    assert.deepEqual([again.text, isReplayed(again)], [first.text, true]);
  });

  it('is not given to who has lost the permission, and is there still when it is back', async () => {
    const { id, key } = await person(['run.start']);
    const ask = (as: string): Promise<Answer> => api.ask(as, 'POST', '/v1/flows/pay/runs', {}, headers);
    const first = await ask(key);
    const without = await ask((await person([], [], id)).key);
    assert.deepEqual(codes(without), [403, 'FORBIDDEN']);
    assert.ok(!isReplayed(without));
    assert.doesNotMatch(without.text, new RegExp(first.body.run.id as string));
    assert.equal((await ask(key)).text, first.text);
  });

  it('does not show a key again to who may make none any more', async () => {
    const { id, key } = await person(['key.manage']);
    const body = { id: 'made-once', kind: 'agent' };
    const ask = (as: string): Promise<Answer> => api.ask(as, 'POST', '/v1/keys', body, headers);
    assert.equal((await ask(key)).status, 201);
    assert.deepEqual(codes(await ask((await person([], [], id)).key)), [403, 'FORBIDDEN']);
  });

  it('is not given to who does not see the run any more', async () => {
    const { id, key } = await person(['run.start', 'run.read']);
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.balance`;
    const ask = (as: string): Promise<Answer> => api.ask(as, 'POST', path, {}, headers);
    assert.equal((await ask(key)).status, 200);
    assert.ok(isReplayed(await ask(key)));
    const blind = await ask((await person(['run.start'], [], id)).key);
    assert.deepEqual(codes(blind), [404, 'NOT_FOUND']);
  });

  it('is of nothing that is not on record: what came of the request stands there before its answer is kept', async () => {
    const { id, key } = await person(['approval.decide', 'run.read']);
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const { id: approval, digest } = asked.body.result.approval;
    const path = `/v1/approvals/${approval}/decision`;
    const ask = (): Promise<Answer> => api.ask(key, 'POST', path, { decision: 'approve', digest }, headers);
    diesOnceKept = true;
    assert.deepEqual(codes(await ask()), [500, 'INTERNAL']);
    diesOnceKept = false;
    const again = await ask();
    assert.deepEqual([...codes(again), isReplayed(again)], [403, 'NOT_AN_APPROVER', true]);
    const { rows } = await api.database.asSuperuser(
      'select type from audit_record where actor = $1 order by seq',
      [id],
    );
    assert.deepEqual(
      rows.map(({ type }: { type: string }) => type),
      ['approval.refused', 'api.called'],
    );
  });

  describe('of a batch', () => {
    interface Item {
      readonly approval: string;
      readonly decision: 'approve';
      readonly digest: string;
    }
    const unknown: Item = { approval: 'apr_none', decision: 'approve', digest: 'sha256:none' };
    const park = async (flow = 'pay'): Promise<Item> => {
      const run: string = (await api.ask('agent', 'POST', `/v1/flows/${flow}/runs`, {})).body.run.id;
      const path = `/v1/runs/${run}/transitions/bank.pay`;
      const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
      const { id, digest } = asked.body.result.approval;
      return { approval: id, decision: 'approve', digest };
    };
    const send = (as: string, body: object, sent = {}): Promise<Answer> =>
      api.ask(as, 'POST', '/v1/approvals/batch', body, sent);
    const controller = ['finance.controller'];

    it('is not kept of a dry run, and its key is free for another body, also where it was refused', async () => {
      const { key } = await person([], controller);
      const item = await park();
      for (const refused of [{ decisions: [item, item] }, { decisions: [], dryRun: true }])
        assert.deepEqual(codes(await send(key, refused, headers)), [422, 'REQUEST_INVALID']);
      const dry = { decisions: [item], mode: 'all', dryRun: true };
      const { token } = (await send(key, dry, headers)).body;
      const real = { ...dry, dryRun: false, token };
      assert.deepEqual(codes(await send(key, { ...real, token: 'x' }, headers)), [428, 'DRY_RUN_REQUIRED']);
      assert.deepEqual(codes(await send(key, real, headers)), [422, 'IDEMPOTENCY_KEY_REUSED']);
    });

    it('is given again, with the decisions that were made, where one of the approvals is not there', async () => {
      const { key } = await person([], controller);
      const decisions = [unknown, await park()];
      const { token } = (await send(key, { decisions, mode: 'each', dryRun: true })).body;
      const real = { decisions, mode: 'each', dryRun: false, token };
      const [first, again] = [await send(key, real, headers), await send(key, real, headers)];
      const told = first.body.results.map((result: any) => result.code ?? result.status);
      assert.deepEqual([first.status, told], [200, ['NOT_FOUND', 'applied']], first.text);
      assert.deepEqual([again.text, isReplayed(again)], [first.text, true]);
    });

    it('is given again to nobody who does not see an approval of which it tells', async () => {
      const { id, key } = await person([], controller);
      const decisions = [{ ...(await park()), digest: unknown.digest }, await park()];
      const { token } = (await send(key, { decisions, mode: 'each', dryRun: true })).body;
      const real = { decisions, mode: 'each', dryRun: false, token };
      const first = await send(key, real, headers);
      assert.equal(first.body.results[0].code, 'DIGEST_MISMATCH', first.text);
      const blind = await send((await person([], [], id)).key, real, headers);
      assert.deepEqual([...codes(blind), isReplayed(blind)], [404, 'NOT_FOUND', false]);
      assert.equal((await send(key, real, headers)).text, first.text);
    });

    it('is given again where it was refused for one that its person did not see any more', async () => {
      const gate = { approver_role: 'finance.cfo', timeout: { after: '1h' } };
      const flow = { name: 'unseen', owner: 'team', permissions: { execute: ['bank.pay'] } };
      const published = await api.ask('admin', 'POST', '/v1/flows', { ...flow, approval_gate: gate });
      assert.equal(published.status, 201, published.text);
      const { id, key } = await person([], [...controller, 'finance.cfo']);
      const decisions = [await park(), await park('unseen')];
      const { token } = (await send(key, { decisions, mode: 'all', dryRun: true })).body;
      assert.ok(token);
      const less = (await person([], controller, id)).key;
      const ask = (): Promise<Answer> =>
        send(less, { decisions, mode: 'all', dryRun: false, token }, headers);
      const [first, again] = [await ask(), await ask()];
      assert.deepEqual(codes(first), [409, 'BATCH_REFUSED']);
      assert.equal(first.body.results[1].code, 'NOT_FOUND');
      assert.deepEqual([again.text, isReplayed(again)], [first.text, true]);
    });
  });
});
