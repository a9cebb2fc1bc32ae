import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// A process is stopped for so long (SIGSTOP, a machine that sleeps) that another attempt of its request has taken the
// idempotency key over, and then goes on where it stood.

describe('an attempt whose request another one has taken over', () => {
  let api: Harness;
  let onStop: (() => Promise<unknown>) | null = null;
  let afterTransaction: (() => Promise<unknown>) | null = null;
  const stopped = async (): Promise<void> => {
    const act = onStop;
    onStop = null;
    await act?.();
  };
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      transaction: async (act) => {
        await stopped();
        const done = await deps.transaction(act);
        const next = afterTransaction;
        afterTransaction = null;
        await next?.();
        return done;
      },
      client: {
        ...deps.client,
        start: async (request) => {
          await stopped();
          return deps.client.start(request);
        },
        startWithSubmit: async (request, first) => {
          await stopped();
          return deps.client.startWithSubmit(request, first);
        },
        submit: async (request) => {
          await stopped();
          return deps.client.submit(request);
        },
        decide: async (request) => {
          await stopped();
          return deps.client.decide(request);
        },
        cancel: async (request) => {
          await stopped();
          return deps.client.cancel(request);
        },
      },
    }));
  });
  after(() => api.stop());

  let keys = 0;
  /** Sends a request whose key goes to another attempt before anything is done. */
  const overtaken = async (
    name: string,
    method: string,
    path: string,
    body: object,
    meanwhile: (key: string) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<Answer> => {
    keys += 1;
    const key = `overtaken-${keys}`;
    onStop = async () => {
      await api.database.asSuperuser(
        `update idempotency set holder = '00000000-0000-0000-0000-000000000000' where key = $1`,
        [key],
      );
      await meanwhile(key);
    };
    const answer = await api.ask(name, method, path, body, { 'idempotency-key': key });
    assert.equal(onStop, null, 'it was stopped');
    return answer;
  };
  const isTold = (answer: Answer): void => {
    assert.deepEqual(codes(answer), [409, 'IDEMPOTENCY_IN_PROGRESS'], answer.text);
    assert.equal(answer.headers.get('retry-after'), '1');
  };
  const count = async (table: string): Promise<number> =>
    (await api.database.pool.query(`select 1 from ${table}`)).rowCount ?? 0;
  const park = async (): Promise<{ run: string; approval: string; digest: string }> => {
    const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    const run: string = started.body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    const { id: approval, digest } = asked.body.result.approval;
    return { run, approval, digest };
  };

  it('makes no key, and revokes none that the other one has made', async () => {
    const before = await count('api_key');
    const body = { id: 'twin', kind: 'agent', roles: [], permissions: [] };
    isTold(
      await overtaken('admin', 'POST', '/v1/keys', body, async () => {
        const made = await api.ask('admin', 'POST', '/v1/keys', body);
        assert.equal(made.status, 201, made.text);
      }),
    );
    const { rows } = await api.database.pool.query(
      `select revoked_at from api_key where principal_id = 'twin'`,
    );
    assert.deepEqual([await count('api_key'), rows], [before + 1, [{ revoked_at: null }]]);
  });

  it('withdraws no flow', async () => {
    isTold(await overtaken('admin', 'POST', '/v1/flows/form/withdraw', { reason: 'it is over' }));
    const started = await api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { title: 'x' } });
    assert.equal(started.status, 201, started.text);
  });

  it('starts no run, with a first submit or without', async () => {
    const before = await count('run');
    isTold(await overtaken('agent', 'POST', '/v1/flows/pay/runs', {}));
    const submit = { transition: 'bank.pay', arguments: { amount: 150 } };
    isTold(await overtaken('agent', 'POST', '/v1/flows/pay/runs', { submit }));
    assert.equal(await count('run'), before);
  });

  it('asks a run for nothing, decides nothing and cancels nothing', async () => {
    const { run, approval, digest } = await park();
    const before = await count('message');
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    isTold(await overtaken('agent', 'POST', path, { arguments: { amount: 1 } }));
    const decision = { decision: 'approve', digest };
    isTold(await overtaken('finance', 'POST', `/v1/approvals/${approval}/decision`, decision));
    isTold(await overtaken('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'no more' }));
    assert.equal(await count('message'), before);
    const found = await api.ask('finance', 'GET', `/v1/approvals/${approval}`);
    assert.equal(found.body.status, 'open');
  });

  it('tells what the other one did, and not its own key, which that one has replaced', async () => {
    const body = { id: 'replaced', kind: 'agent', roles: [], permissions: [] };
    const key = 'overtaken-after';
    afterTransaction = async () => {
      await api.database.asSuperuser(
        `update idempotency set held_until = now() - interval '1 second' where key = $1`,
        [key],
      );
      const other = await api.ask('admin', 'POST', '/v1/keys', body, { 'idempotency-key': key });
      assert.equal(other.status, 201, other.text);
    };
    const ask = (): Promise<Answer> => api.ask('admin', 'POST', '/v1/keys', body, { 'idempotency-key': key });
    const [told, again] = [await ask(), await ask()];
    assert.equal(told.status, 201, told.text);
    assert.equal(told.text, again.text, 'the other one’s answer');
    assert.equal(told.headers.get('idempotency-replayed'), 'true');
    assert.equal((await api.ask(again.body.key, 'GET', '/v1/whoami')).status, 200);
  });
});
