import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from './harness.js';

describe('the kept answer of an idempotency key', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
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
});
