import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Harness } from '../harness.js';

// Nobody is told to repeat what may have been done already, unless under the idempotency key, with which it is done only once.

describe('a request that was cut off in the middle', () => {
  let api: Harness;
  /** The fault that the next call to the store meets, wherever in a request that is. */
  let failure: Error | null = null;
  const away = (): Error =>
    Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      engines: {
        ...deps.engines,
        isReady: (environment) =>
          failure === null ? deps.engines.isReady(environment) : Promise.reject(failure),
      },
      client: {
        ...deps.client,
        submit: (request) =>
          failure === null
            ? deps.client.submit(request)
            : Promise.resolve({ status: 'unavailable', code: 'AUDIT_UNAVAILABLE' }),
      },
    }));
  });
  after(() => api.stop());

  const start = (headers: Record<string, string> = {}) =>
    api.ask('agent', 'POST', '/v1/flows/pay/runs', {}, headers);
  const repeat = /not certain whether this was done: repeat the request under the same Idempotency-Key/;
  const look = /not certain whether this was done: look before you send it again/;

  it('is told to be repeated where it has a key, and else to be looked for', async () => {
    failure = away();
    const keyed = await start({ 'idempotency-key': 'once' });
    assert.deepEqual(codes(keyed), [503, 'AUDIT_UNAVAILABLE']);
    assert.match(keyed.body.detail, repeat);
    const bare = await start();
    assert.deepEqual(codes(bare), [503, 'AUDIT_UNAVAILABLE']);
    assert.match(bare.body.detail, look);
    assert.doesNotMatch(bare.text, /repeat|try again|nothing runs/i);
    failure = null;
    assert.equal((await start({ 'idempotency-key': 'once' })).status, 201);
  });

  it('is told the same by its run', async () => {
    const started = await start();
    const path = `/v1/runs/${started.body.run.id}/transitions/bank.balance`;
    failure = away();
    const bare = await api.ask('agent', 'POST', path, {});
    assert.deepEqual(codes(bare), [503, 'AUDIT_UNAVAILABLE']);
    assert.match(bare.body.detail, look);
    const keyed = await api.ask('agent', 'POST', path, {}, { 'idempotency-key': 'submitted-once' });
    assert.match(keyed.body.detail, repeat);
    failure = null;
  });

  it('is told so of our own failures too, where a route takes no key as where it does', async () => {
    failure = new Error('a bug');
    const bare = await start();
    assert.deepEqual(codes(bare), [500, 'INTERNAL']);
    assert.match(bare.body.detail, look);
    assert.match(bare.body.detail, /under this trace id/);
    const reload = await api.ask(
      'admin',
      'POST',
      '/v1/policies/reload',
      {},
      { 'idempotency-key': 'useless' },
    );
    assert.deepEqual(codes(reload), [500, 'INTERNAL']);
    assert.match(reload.body.detail, look, 'a reload is done again under any key');
    failure = null;
  });

  it('is on record and in the log where it was done and its answer could not be kept, and is done once', async () => {
    const headers = { 'idempotency-key': 'answered-in-vain' };
    await api.database.asSuperuser(
      'alter table idempotency add constraint keeps_nothing check (status is null) not valid',
    );
    const told = await start(headers);
    await api.database.asSuperuser('alter table idempotency drop constraint keeps_nothing');
    assert.deepEqual(codes(told), [500, 'INTERNAL']);
    assert.match(told.body.detail, repeat);
    const { traceId } = told.body;
    assert.match(api.logged.find((line) => line.startsWith(`${traceId}: `)) ?? '', /keeps_nothing/);
    const path = '/v1/audit?type=api.called,request.refused&limit=500';
    const records = (await api.ask('auditor', 'GET', path)).body.data.filter(
      (record: any) => record.traceId === traceId,
    );
    assert.deepEqual(
      records.map(({ type, data }: any) => [type, data.code, data.status]),
      [
        ['request.refused', 'INTERNAL', undefined],
        ['api.called', 'INTERNAL', 500],
      ],
    );
    await api.database.asSuperuser(
      `update idempotency set held_until = now() - interval '1 second' where key = $1`,
      [headers['idempotency-key']],
    );
    assert.equal((await start(headers)).body.run.id, records[0].about);
  });
});
