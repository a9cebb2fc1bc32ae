import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { routes } from '../../../src/api/index.js';
import { inCampaigns } from '../../../testing/samples.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// Requests under an idempotency key: the process dies after it has done what was asked, and before it has answered.

describe('a request that is repeated after its process died', () => {
  let api: Harness;
  let laterMs = 0;
  before(async () => {
    api = await startApi((deps) => ({ ...deps, now: () => new Date(deps.now().getTime() + laterMs) }));
  });
  after(() => api.stop());

  let keys = 0;
  const tested = new Set<string>();
  /** Sends a request, lets the process die before the answer is kept, runs `meanwhile`, and repeats the request. */
  const repeated = async (
    route: string,
    send: (headers: Record<string, string>) => Promise<Answer>,
    between: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<{ first: Answer; again: Answer }> => {
    tested.add(route);
    keys += 1;
    const key = `${route}-${keys}`;
    const headers = { 'idempotency-key': key };
    const first = await send(headers);
    await die(key);
    await between();
    const again = await send(headers);
    assert.equal(again.headers.get('idempotency-replayed'), null);
    return { first, again };
  };
  const die = (key: string): Promise<unknown> =>
    api.database.asSuperuser(
      `update idempotency set status = null, headers = null, response = null, held_until = now() - interval '1 second' where key = $1`,
      [key],
    );
  const charter = (name: string, above: number | null, tool = 'bank.pay'): string =>
    JSON.stringify({
      ...{ name, owner: 'team', permissions: { read: ['bank.balance'], execute: [tool], deny: [] } },
      ...(above === null
        ? {}
        : { approval_gate: { on: `amount > ${above}`, approver_role: 'finance.controller' } }),
    });
  const form = (name: string, required: string): string =>
    JSON.stringify({
      workflows: {
        [name]: {
          owner: 'team',
          inputSchema: { type: 'object', required: [required], properties: { [required]: {} } },
          initialState: 'open',
          states: {
            open: { transitions: { finish: { target: 'done', actor: 'human' } } },
            done: { terminal: true },
          },
        },
      },
    });
  const publish = (text: string, headers = {}): Promise<Answer> =>
    api.ask('admin', 'POST', '/v1/flows', text, headers);
  const withdraw = (name: string, headers = {}): Promise<Answer> =>
    api.ask('admin', 'POST', `/v1/flows/${name}/withdraw`, { reason: 'the bank has closed' }, headers);
  const start = (name: string, body: object = {}, headers = {}): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/flows/${name}/runs`, body, headers);
  const recorded = async (type: string, about: (data: any) => boolean): Promise<number> =>
    (await api.ask('auditor', 'GET', `/v1/audit?limit=500&type=${type}`)).body.data.filter(
      ({ data }: { data: unknown }) => about(data),
    ).length;
  const versions = async (name: string): Promise<number[]> =>
    (await api.ask('admin', 'GET', `/v1/flows/${name}`)).body.versions.map(
      (version: { version: number }) => version.version,
    );

  describe('has published once', () => {
    it('and puts no older flow back over what somebody has published since', async () => {
      const { first, again } = await repeated(
        'publishFlow',
        (headers) => publish(charter('guarded', null), headers),
        () => publish(charter('guarded', 1)),
      );
      assert.deepEqual([again.status, again.body], [201, first.body]);
      assert.equal(again.headers.get('location'), first.headers.get('location'));
      assert.deepEqual(await versions('guarded'), [2, 1]);
      assert.equal((await start('guarded')).body.run.flowVersion, 2);
    });

    it('and ends no withdrawal that came since, nor calls new what was published before', async () => {
      await publish(charter('shelved', 5));
      const { first, again } = await repeated(
        'publishFlow',
        (headers) => publish(charter('shelved', 5), headers),
        () => withdraw('shelved'),
      );
      assert.deepEqual([first.status, again.status, again.body.version], [200, 200, 1]);
      assert.deepEqual(codes(await start('shelved')), [409, 'FLOW_WITHDRAWN']);
    });

    it('also when both attempts are under way at once', async () => {
      const headers = { 'idempotency-key': 'two-at-once' };
      await publish(charter('twice', 1), headers);
      await publish(charter('twice', 2));
      const answers = await Promise.all(
        Array.from({ length: 4 }, async () => {
          await die('two-at-once');
          return publish(charter('twice', 1), headers);
        }),
      );
      const done = answers.filter(({ status }) => status !== 409);
      assert.ok(done.length > 0 && done.every(({ status, body }) => status === 201 && body.version === 1));
      assert.deepEqual(await versions('twice'), [2, 1]);
    });
  });

  it('has withdrawn a flow once, and is told so', async () => {
    await publish(charter('closing', 1));
    const { again } = await repeated('withdrawFlow', (headers) => withdraw('closing', headers));
    assert.equal(again.status, 200, again.text);
    assert.equal(again.body.withdrawn.by, 'admin');
    const after = await repeated(
      'withdrawFlow',
      async (headers) => withdraw('form', headers),
      async () => {
        assert.equal((await publish(form('form', 'title'))).status, 201);
      },
    );
    assert.deepEqual([after.again.status, after.again.body.withdrawn], [200, null], 'it is open again');
    assert.equal((await start('form', { input: { title: 'x' } })).status, 201);
    assert.equal(await recorded('flow.withdrawn', ({ name }) => name === 'form'), 1);
  });

  describe('has started once, and is told of its run', () => {
    const cases: readonly [string, (name: string) => Promise<unknown>][] = [
      ['a version that asks for another input', (name) => publish(form(name, 'other'))],
      ['a version in which its first step is not', (name) => publish(charter(name, 1, 'bank.wire'))],
      ['a withdrawal', (name) => withdraw(name)],
      [
        'a flow that nobody knows any more',
        (name) =>
          api.database.asSuperuser('update flow_version set name = $2 where name = $1', [
            name,
            `gone_${name}`,
          ]),
      ],
    ];
    for (const [since, between] of cases)
      for (const submit of [false, true])
        it(`after ${since}${submit ? ', with its first submit' : ''}`, async () => {
          const name = `begun_${tested.size}_${keys}`;
          await publish(submit ? charter(name, 100) : form(name, 'title'));
          const body = submit
            ? { submit: { transition: 'bank.pay', arguments: { amount: 1 } } }
            : { input: { title: 'x' } };
          const { first, again } = await repeated(
            'startRun',
            (headers) => start(name, body, headers),
            () => between(name),
          );
          assert.equal(again.status, first.status, again.text);
          assert.deepEqual(again.body.run, first.body.run);
          assert.equal(again.body.run.flowVersion, 1);
        });
  });

  it('has made one key, and no second one where somebody has revoked it since', async () => {
    const make = (id: string) => (headers: Record<string, string>) =>
      api.ask('admin', 'POST', '/v1/keys', { id, kind: 'agent' }, headers);
    const whoami = async ({ body }: Answer): Promise<number> =>
      (await api.ask(body.key, 'GET', '/v1/whoami')).status;
    const once = await repeated('createKey', make('bot'));
    const headers = { 'idempotency-key': 'third' };
    const attempts: Answer[] = [];
    for (const _ of [1, 2, 3]) {
      attempts.push(await make('bot')(headers));
      await die('third');
    }
    assert.equal(once.again.status, 201, once.again.text);
    assert.deepEqual(
      await Promise.all([once.first, once.again, ...attempts].map(whoami)),
      [401, 200, 401, 401, 200],
      'what could not be shown is good for nobody',
    );
    const { keyId } = once.first.body;
    assert.equal(await recorded('key.revoked', (data) => data.keyId === keyId), 1);
    const revoked = await repeated('createKey', make('spy'), async () => {
      const { rows } = await api.database.asSuperuser(
        `select key_id from api_key where principal_id = 'spy'`,
      );
      const [{ key_id: id }] = rows as [{ key_id: string }];
      assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${id}`)).status, 204);
    });
    assert.deepEqual(codes(revoked.again), [422, 'REQUEST_INVALID']);
    assert.match(revoked.again.body.detail, /has been revoked since: take a new one/);
    const { rows } = await api.database.asSuperuser(
      `select 1 from api_key where principal_id = 'spy' and revoked_at is null`,
    );
    assert.equal(rows.length, 0);
  });

  it('has changed the signing key once', async () => {
    const rotate = (headers: Record<string, string>): Promise<Answer> =>
      api.ask('admin', 'POST', '/v1/signing-keys', { window: '1h' }, headers);
    const { first, again } = await repeated('rotateSigningKey', rotate);
    assert.equal(again.status, 201, again.text);
    const ids = ({ body }: Answer): string[] => body.data.map((item: { keyId: string }) => item.keyId);
    assert.deepEqual(ids(again), ids(first));
  });

  const parked = async (amount: number): Promise<{ id: string; digest: string; run: string }> => {
    const run = (await start('pay')).body.run.id as string;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount },
    });
    const { id, digest } = asked.body.result.approval;
    return { id, digest, run };
  };

  it('has submitted once, and decided once, whatever became of the run since', async () => {
    const run = (await start('pay')).body.run.id as string;
    const cancel = (id: string) => (): Promise<Answer> =>
      api.ask('admin', 'POST', `/v1/runs/${id}/cancel`, { reason: 'enough' });
    const paid = await repeated(
      'submitTransition',
      (headers) =>
        api.ask(
          'agent',
          'POST',
          `/v1/runs/${run}/transitions/bank.pay`,
          { arguments: { amount: 1 } },
          headers,
        ),
      cancel(run),
    );
    assert.deepEqual([paid.again.status, paid.again.body.result], [200, paid.first.body.result]);
    const { id, digest, run: waits } = await parked(500);
    const decided = await repeated(
      'decideApproval',
      (headers) =>
        api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision: 'deny', digest }, headers),
      cancel(waits),
    );
    assert.equal(decided.again.status, 200, decided.again.text);
    assert.equal(decided.again.body.approval.decisions.length, 1);
  });

  it('was refused by a run that had ended, which its chain does not have, and the service records that', async () => {
    const { id, digest } = await parked(510);
    const { again } = await repeated(
      'decideApproval',
      (headers) =>
        api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision: 'deny', digest }, headers),
      async () => {
        // As the store stands where the run ended before it took the decision.
        await api.kernel.settled();
        await api.database.asSuperuser(
          `update decision set status = 'refused', code = 'RUN_CLOSED' where approval = '${id}'`,
        );
      },
    );
    assert.deepEqual(codes(again), [409, 'RUN_CLOSED']);
    assert.equal(await recorded('request.refused', ({ code }) => code === 'RUN_CLOSED'), 1);
  });

  it('has decided a batch once, also where its dry run is long over', async () => {
    const approval = await parked(600);
    const body = {
      mode: 'each',
      decisions: [{ approval: approval.id, decision: 'approve', digest: approval.digest }],
    };
    const { token } = (await api.ask('finance', 'POST', '/v1/approvals/batch', { ...body, dryRun: true }))
      .body;
    const { first, again } = await repeated(
      'decideBatch',
      (headers) =>
        api.ask('finance', 'POST', '/v1/approvals/batch', { ...body, dryRun: false, token }, headers),
      () => Promise.resolve((laterMs = 16 * 60_000)),
    );
    laterMs = 0;
    assert.deepEqual([again.status, again.body], [200, first.body], again.text);
  });

  const decideAll = async (
    mode: string,
    approvals: readonly { id: string; digest: string }[],
    between: () => Promise<unknown> = () => Promise.resolve(),
    who = 'finance',
  ): Promise<{ first: Answer; again: Answer }> => {
    const decisions = approvals.map(({ id, digest }) => ({ approval: id, decision: 'approve', digest }));
    const body = { mode, decisions };
    const { token } = (await api.ask(who, 'POST', '/v1/approvals/batch', { ...body, dryRun: true })).body;
    return repeated(
      'decideBatch',
      (headers) => api.ask(who, 'POST', '/v1/approvals/batch', { ...body, dryRun: false, token }, headers),
      between,
    );
  };
  const results = ({ body }: Answer): string[] => body.results.map((each: { status: string }) => each.status);

  it('has decided a batch once, also where it names what nobody sees', inCampaigns, async () => {
    const approval = await parked(650);
    const gone = { id: 'apr_00000000000000000000000000000000', digest: approval.digest };
    const { first, again } = await decideAll('each', [approval, gone]);
    assert.deepEqual([again.status, again.body], [200, first.body], again.text);
  });

  it('has decided a batch once, also where who decided has lost the role since', inCampaigns, async () => {
    for (const mode of ['each', 'all']) {
      const made = { id: `leaver-${mode}`, kind: 'human', roles: ['finance.controller'] };
      const { key } = (await api.ask('admin', 'POST', '/v1/keys', made)).body;
      const both = [await parked(660), await parked(670)];
      const { again } = await decideAll(
        mode,
        both,
        async () => {
          await api.kernel.settled();
          await api.database.asSuperuser(
            `update api_key set roles = '{}', permissions = '{}' where principal_id = $1`,
            [made.id],
          );
        },
        key,
      );
      assert.deepEqual([again.status, again.body.ok], [200, true], again.text);
      assert.deepEqual(results(again), ['applied', 'applied']);
    }
  });

  it('has decided one of a batch that asks for all or none, and is not told that none was', async () => {
    const [first, later] = [await parked(700), await parked(800)];
    const { again } = await decideAll('all', [first, later], async () => {
      // The state of the store when the process dies after the first of the two.
      const second = `where approval = '${later.id}'`;
      await api.kernel.settled();
      await api.database.asSuperuser(`update approval set status = 'revoked' where id = '${later.id}'`);
      await api.database.asSuperuser(`update decision set id = 'dec_of_somebody_else' ${second}`);
    });
    assert.deepEqual([again.status, again.body.ok, results(again)], [200, false, ['applied', 'refused']]);
  });

  it('has decided what comes after one that its run refused late, and is told so', inCampaigns, async () => {
    const [first, second, last] = [await parked(710), await parked(810), await parked(910)];
    const { again } = await decideAll('all', [first, second, last], async () => {
      // The state of the store when the first was kept without an answer, the process died after the second, and the run refused
      // the first.
      await api.kernel.settled();
      await api.database.asSuperuser(
        `update decision set status = 'refused', code = 'DIGEST_MISMATCH' where approval = '${first.id}'`,
      );
      await api.database.asSuperuser(
        `update decision set id = 'dec_of_somebody' where approval = '${last.id}'`,
      );
    });
    assert.equal(again.status, 200, again.text);
    assert.deepEqual([again.body.ok, results(again)], [false, ['refused', 'applied', 'refused']]);
  });

  it('has cancelled a run once', async () => {
    const run = (await start('pay')).body.run.id as string;
    const { again } = await repeated('cancelRun', (headers) =>
      api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'enough' }, headers),
    );
    assert.deepEqual([again.status, again.body?.run?.status], [200, 'cancelled'], again.text);
  });

  it('is tested for every route that takes an idempotency key', () => {
    // A retry is a message like a cancel, and is handled in the same way.
    const expected = routes.filter((route) => route.idempotent).map(({ id }) => id);
    assert.deepEqual([...tested, 'retryRun'].sort(), expected.sort());
  });
});
