import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signIn, visit } from '../../../testing/browser-forms.js';
import { payFlow } from '../../../testing/policies.js';
import { until } from '../../../testing/until.js';
import { makeTarget, type Target } from '../../activities/execute/target.js';
import { startApi, type Answer, type Harness } from '../harness.js';

const flow = (guard: object, gate: object | null, outputSchema?: object): object =>
  payFlow(
    {
      guards: [guard],
      ...(outputSchema === undefined ? {} : { outputSchema }),
      ...(gate === null ? {} : { gate }),
      executor: { kind: 'rest', connection: 'bank', method: 'POST', path: '/pay', idempotencyKey: true },
      reliability: { retry: { maxAttempts: 3, backoff: 'fixed', initialDelayMs: 100 } },
    },
    { give_up: { target: 'paid' } },
  );
const controllers = { roles: ['finance.controller'] };
const roles = (ofTreasurer: readonly string[]): object => ({
  roles: {
    'finance.controller': { permissions: [] },
    payer: { permissions: [] },
    senior: { permissions: [] },
    treasurer: { permissions: ofTreasurer },
  },
});

describe('what a requester held when it asked', () => {
  let api: Harness;
  let bank: Target;
  before(async () => {
    api = await startApi();
    bank = await makeTarget();
    const workflows = {
      by_role: flow({ kind: 'role', role: 'payer' }, controllers),
      by_permission: flow(
        { kind: 'allOf', guards: [{ kind: 'permission', permission: 'pay.large' }] },
        controllers,
      ),
      not_watched: flow({ kind: 'not', guard: { kind: 'role', role: 'watched' } }, controllers),
      unfit: flow({ kind: 'role', role: 'payer' }, controllers, { type: 'object', required: ['paid'] }),
      at_once: flow({ kind: 'role', role: 'payer' }, null),
      seniors_at_once: flow(
        { kind: 'role', role: 'payer' },
        { ...controllers, on: { kind: 'not', guard: { kind: 'role', role: 'senior' } } },
      ),
    };
    await api.load({
      'connections.yaml': { connections: { bank: { kind: 'rest', baseUrl: bank.url, allowPrivate: true } } },
      'roles.yaml': roles(['pay.large']),
      'flows/rights.yaml': { workflows },
    });
  });
  after(async () => {
    await api.stop();
    await bank.close();
  });

  let made = 0;
  interface Key {
    readonly id: string;
    readonly key: string;
    readonly keyId: string;
  }
  const keyOf = async (held: readonly string[], id = `asker-${(made += 1)}`, extra = {}): Promise<Key> => {
    const body = { id, kind: 'agent', roles: held, permissions: ['run.start'], ...extra };
    const answer = await api.ask('admin', 'POST', '/v1/keys', body);
    assert.equal(answer.status, 201, answer.text);
    return { id, key: answer.body.key, keyId: answer.body.keyId };
  };
  const revoke = async ({ keyId }: Key): Promise<void> =>
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);

  interface Asked {
    readonly run: string;
    readonly action: string;
    readonly approval: string;
    readonly digest: string;
    /** How often the bank had been called when the key lost its rights; a refusal adds no call. */
    readonly calls: number;
  }
  /** A payment that this key asks for, approved while no worker is up; `meanwhile` runs before a worker comes up. */
  const approvedThen = async (
    name: string,
    { key }: Key,
    meanwhile: () => Promise<unknown>,
  ): Promise<Asked> => {
    const run: string = (await api.ask(key, 'POST', `/v1/flows/${name}/runs`, {})).body.run.id;
    const parked = await api.ask(key, 'POST', `/v1/runs/${run}/transitions/pay`, {});
    assert.equal(parked.status, 202, parked.text);
    const { approval, ...result } = parked.body.result;
    api.kernel.idle = true;
    const decision = { decision: 'approve', digest: approval.digest, reason: 'fine' };
    const decided = api.ask('finance', 'POST', `/v1/approvals/${approval.id}/decision`, decision);
    await until(
      'a kept decision',
      async () => {
        const kept = `select 1 from message where run = $1 and kind = 'decide'`;
        return (await api.database.pool.query(kept, [run])).rowCount || null;
      },
      10_000,
    );
    await meanwhile();
    const calls = bank.requests.length;
    api.kernel.idle = false;
    assert.ok([200, 202].includes((await decided).status));
    return {
      run,
      action: result.poll.split('/').at(-1),
      approval: approval.id,
      digest: approval.digest,
      calls,
    };
  };
  const settledAs = ({ action }: Pick<Asked, 'action'>): Promise<Answer> =>
    until(
      'a settled action',
      async () => {
        const found = await api.ask('manager', 'GET', `/v1/actions/${action}`);
        return ['executed', 'failed', 'unknown'].includes(found.body?.status) ? found : null;
      },
      15_000,
    );
  type Called = Pick<Asked, 'run' | 'action' | 'calls'>;
  const isRefused = async (asked: Called, why: RegExp): Promise<void> => {
    const { body } = await settledAs(asked);
    assert.equal(body.status, 'failed');
    assert.equal(body.error.code, 'GUARD_REJECTED');
    assert.match(body.error.message, why);
    assert.equal(bank.requests.length, asked.calls);
    const path = `/v1/runs/${asked.run}/audit?type=guard.evaluated&limit=500`;
    const last = (await api.ask('auditor', 'GET', path)).body.data.at(-1);
    assert.equal(last.data.verdict, 'fail');
    const { run } = (await api.ask('manager', 'GET', `/v1/runs/${asked.run}`)).body;
    assert.deepEqual([run.state, run.status], ['open', 'running']);
  };

  /** The page that `finance`, who has approved the payment, reads when they come again. */
  const pageAgain = async ({ approval }: Pick<Asked, 'approval'>): Promise<string> => {
    const page = `/approvals/${approval}`;
    const cookie = await signIn(api.url, api.keys['finance'] ?? '', page);
    return (await visit(`${api.url}${page}`, cookie)).text;
  };

  it('executes what it asked for, where it holds it still', async () => {
    const key = await keyOf(['payer']);
    const asked = await approvedThen('by_role', key, () => Promise.resolve());
    assert.equal((await settledAs(asked)).body.status, 'executed');
  });

  it('executes nothing once its key is revoked', async () => {
    const key = await keyOf(['payer']);
    const asked = await approvedThen('by_role', key, () => revoke(key));
    await isRefused(asked, /does not hold role `payer`/);
  });

  it('is not run, which uses up no approval, and whoever approved it reads so when they come again', async () => {
    const key = await keyOf(['payer']);
    const asked = await approvedThen('by_role', key, () => revoke(key));
    await settledAs(asked);
    const found = await api.ask('finance', 'GET', `/v1/approvals/${asked.approval}`);
    assert.equal(found.body.status, 'approved');
    const used = await api.ask('auditor', 'GET', `/v1/runs/${asked.run}/audit?type=approval.consumed`);
    assert.deepEqual(used.body.data, []);
    assert.match(
      await pageAgain(asked),
      /It is approved, and was not run \(GUARD_REJECTED\): .* does not hold role `payer`/,
    );
  });

  it('has run, and whoever approved it reads so when they come again', async () => {
    const asked = await approvedThen('by_role', await keyOf(['payer']), () => Promise.resolve());
    await settledAs(asked);
    assert.match(await pageAgain(asked), /It is approved, and has run\./);
  });

  it('failed at its target, and whoever approved it reads so when they come again', async () => {
    bank.say(404);
    const asked = await approvedThen('by_role', await keyOf(['payer']), () => Promise.resolve());
    await settledAs(asked);
    assert.match(await pageAgain(asked), /It is approved, and running it failed \(EXECUTOR_FAILED\)\./);
  });

  it('was answered in a way that does not fit, so that it may have happened, and whoever approved it reads that', async () => {
    const asked = await approvedThen('unfit', await keyOf(['payer']), () => Promise.resolve());
    assert.equal((await settledAs(asked)).body.status, 'failed');
    assert.match(await pageAgain(asked), /It is approved, and whether it has happened is not known/);
  });

  it('executes nothing once its key has expired', async () => {
    const key = await keyOf(['payer']);
    const asked = await approvedThen('by_role', key, () =>
      api.database.pool.query(
        `update api_key set expires_at = now() - interval '1 second' where key_id = $1`,
        [key.keyId],
      ),
    );
    await isRefused(asked, /does not hold role `payer`/);
  });

  it('executes nothing once another key of it has the role no more, and executes where another has it', async () => {
    const [lesser, old] = [await keyOf([], 'rotated'), await keyOf(['payer'], 'rotated')];
    await isRefused(await approvedThen('by_role', old, () => revoke(old)), /does not hold role `payer`/);
    const next = await keyOf(['payer'], 'rotated');
    const asked = await approvedThen('by_role', next, async () => {
      await keyOf(['payer'], 'rotated');
      await revoke(next);
    });
    assert.equal((await settledAs(asked)).body.status, 'executed');
    await revoke(lesser);
  });

  it('executes nothing once it holds what the guard forbids', async () => {
    const key = await keyOf([]);
    const asked = await approvedThen('not_watched', key, () => keyOf(['watched'], key.id));
    await isRefused(asked, /not: the caller holds role `watched`/);
  });

  it('executes nothing once its role gives the permission no more, and executes while it does', async () => {
    const key = await keyOf(['treasurer']);
    const held = await approvedThen('by_permission', key, () => Promise.resolve());
    assert.equal((await settledAs(held)).body.status, 'executed');
    const asked = await approvedThen('by_permission', key, () => api.load({ 'roles.yaml': roles([]) }));
    await isRefused(asked, /does not hold permission `pay\.large`/);
  });

  const revokedBetween = (answer: number): Promise<Called> =>
    attemptedTwice('at_once', ['payer'], answer, revoke);
  const attemptedTwice = async (
    name: string,
    held: readonly string[],
    answer: number,
    between: (key: Key) => Promise<unknown>,
  ): Promise<Called> => {
    const key = await keyOf(held);
    bank.say(() => between(key).then(() => answer));
    const run: string = (await api.ask(key.key, 'POST', `/v1/flows/${name}/runs`, {})).body.run.id;
    void api.ask(key.key, 'POST', `/v1/runs/${run}/transitions/pay?wait=0`, {});
    const action = await until(
      'its action',
      async () => {
        const { rows } = await api.database.pool.query<{ id: string }>(
          'select id from action where run = $1',
          [run],
        );
        return rows[0]?.id ?? null;
      },
      10_000,
    );
    return { run, action, calls: 1 };
  };

  it('makes no second attempt once its key is revoked, also of what nobody approved', async () => {
    await isRefused(await revokedBetween(429), /does not hold role `payer`/);
  });

  it('makes no second attempt once its key is revoked, and says what a 503 before leaves open', async () => {
    const asked = await revokedBetween(503);
    await isRefused(asked, /does not hold role `payer`.*does not say that nothing happened/);
  });

  it('makes no second attempt of what a gate lets pass for a role only, once that is gone', async () => {
    const asked = await attemptedTwice('seniors_at_once', ['payer', 'senior'], 429, async (key) => {
      await keyOf(['payer'], key.id);
      await revoke(key);
    });
    const { body } = await settledAs(asked);
    assert.deepEqual([body.status, body.error?.code], ['failed', 'DIGEST_MISMATCH'], JSON.stringify(body));
    assert.match(body.error.message, /a gate asks for an approval of it by now .* ask again/);
    assert.equal(bank.requests.length, asked.calls);
  });

  it('makes a second attempt while it holds it', async () => {
    const key = await keyOf(['payer']);
    bank.say(429, 200);
    const run: string = (await api.ask(key.key, 'POST', '/v1/flows/at_once/runs', {})).body.run.id;
    const done = await api.ask(key.key, 'POST', `/v1/runs/${run}/transitions/pay?wait=10`, {});
    assert.equal(done.body.result.status, 'executed', done.text);
  });
});
