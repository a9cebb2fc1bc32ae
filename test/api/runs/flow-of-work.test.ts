import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('from a start to an executed action', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  const start = async (as = 'agent', body: object = { input: {} }): Promise<string> => {
    const started = await api.ask(as, 'POST', '/v1/flows/pay/runs', body);
    assert.equal(started.status, 201, started.text);
    return started.body.run.id;
  };
  const submit = (
    as: string,
    run: string,
    transition: string,
    body: object = {},
    headers = {},
  ): Promise<Answer> => api.ask(as, 'POST', `/v1/runs/${run}/transitions/${transition}`, body, headers);
  const park = async (): Promise<{ run: string; approval: string; digest: string; poll: string }> => {
    const run = await start();
    const { body, status } = await submit('agent', run, 'bank.pay', {
      arguments: { amount: 500 },
      trace: { prompt: 'pay it', response: 'I pay it', model: 'm1' },
    });
    assert.equal(status, 202);
    return {
      run,
      approval: body.result.approval.id,
      digest: body.result.approval.digest,
      poll: body.result.poll,
    };
  };
  const decide = (as: string, approval: string, body: object, headers = {}): Promise<Answer> =>
    api.ask(as, 'POST', `/v1/approvals/${approval}/decision`, body, headers);

  it('starts in the environment that the flow names, and says where the run is', async () => {
    const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    assert.equal(started.body.run.environment, 'dev');
    assert.equal(started.headers.get('location'), `/v1/runs/${started.body.run.id}`);
    assert.deepEqual(started.body.run.temporal, {
      namespace: 'countersign-dev',
      workflowId: started.body.run.id,
    });
    assert.deepEqual(started.body.links.map((link: { rel: string }) => link.rel).sort(), [
      'bank.balance',
      'bank.pay',
      'complete',
    ]);
  });

  it('checks the start input, with the schema defaults', async () => {
    assert.deepEqual(
      codes(await api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { copies: 'x' } })),
      [422, 'INPUT_INVALID'],
    );
    const bad = await api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { title: 't', extra: 1 } });
    assert.equal(bad.body.errors[0].pointer, '/input/extra');
    assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows/pay/runs', { input: { a: 1 } })), [
      422,
      'INPUT_INVALID',
    ]);
    assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows/none/runs', {})), [404, 'NOT_FOUND']);
    assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows/pay/runs', { environment: 'prod' })), [
      404,
      'NOT_FOUND',
    ]);
    assert.equal(
      (await api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { title: 't' } })).status,
      201,
    );
  });

  it('executes at once what no gate holds, and gives its output', async () => {
    const done = await submit('agent', await start(), 'bank.pay', {
      arguments: { amount: 5 },
      expectedVersion: 0,
    });
    assert.equal(done.status, 200, done.text);
    assert.deepEqual(done.body.result, {
      status: 'executed',
      transition: 'bank.pay',
      output: { paid: true },
    });
    assert.equal(done.body.run.version, 1);
  });

  it('parks what the gate holds; what the approver sees is what the digest binds', async () => {
    const parked = await park();
    const seen = await api.ask('finance', 'GET', `/v1/approvals/${parked.approval}`);
    assert.equal(seen.status, 200, seen.text);
    assert.deepEqual(seen.body.arguments, { amount: 500, currency: 'EUR' });
    assert.equal(seen.body.digest, parked.digest);
    assert.deepEqual(seen.body.requestedBy, { id: 'agent', kind: 'agent' });
    assert.equal(seen.body.trace.prompt, 'pay it');
    assert.deepEqual(seen.body.quorum, { count: 1, approved: 0 });
    const polled = await api.ask('agent', 'GET', parked.poll);
    assert.equal(polled.body.status, 'pending');
    assert.ok(polled.headers.get('retry-after'));
    const decided = await decide('finance', parked.approval, {
      decision: 'approve',
      digest: parked.digest,
      reason: 'fine',
    });
    assert.equal(decided.status, 200, decided.text);
    assert.equal(decided.body.approval.decisions[0].reason, 'fine');
    await api.kernel.settled();
    const executed = await api.ask('agent', 'GET', parked.poll);
    assert.deepEqual([executed.body.status, executed.body.output], ['executed', { paid: true }]);
  });

  it('tells of a long run what is open and the newest of what is not, in order, and no large value with it', async () => {
    const { run, approval } = await park();
    await api.database.asSuperuser(
      `insert into approval select 'apr_old' || n, run, action, flow, environment, transition, 'denied', roles, requested_by,
         requested_at + n * interval '1 second', expires_at, digest, (doc::jsonb || jsonb_build_object('of', repeat('x', 20000)))::json, updated_at,
         tool, tier, risk, search, escalated_at, now(), 'denied' from approval, generate_series(1, 600) n where id = $1`,
      [approval],
    );
    await api.database.asSuperuser(
      `insert into evidence (id, run, kind, at) select 'evd_' || n, $1, 'k' || n, now() from generate_series(1, 600) n`,
      [run],
    );
    const { body, text } = await api.ask('agent', 'GET', `/v1/runs/${run}`);
    const ids = body.approvals.map((approval: { id: string }) => approval.id);
    const newest = Array.from({ length: 500 }, (_, index) => `apr_old${index + 101}`);
    assert.deepEqual(ids, [approval, ...newest]);
    assert.deepEqual(
      [body.evidence.length, body.evidence[0].kind, body.evidence.at(-1).kind],
      [500, 'k101', 'k600'],
    );
    assert.ok(!text.includes('xxx'));
  });

  it('checks a decision in order: visible, open, approver, digest', async () => {
    const { approval, digest } = await park();
    const approve = { decision: 'approve', digest };
    assert.deepEqual(codes(await decide('employee', approval, approve)), [404, 'NOT_FOUND']);
    const agent = await decide('agent', approval, { decision: 'approve', digest: 'sha256:wrong' });
    assert.deepEqual([...codes(agent), agent.body.why], [403, 'NOT_AN_APPROVER', 'not_human']);
    assert.equal((await decide('manager', approval, { decision: 'approve' })).body.why, 'role_missing');
    assert.deepEqual(codes(await decide('finance', approval, { decision: 'approve' })), [
      428,
      'DIGEST_REQUIRED',
    ]);
    const wrong = await decide('finance', approval, { decision: 'approve', digest: 'sha256:wrong' });
    assert.deepEqual(codes(wrong), [409, 'DIGEST_MISMATCH']);
    assert.equal(wrong.body.changed[0].current, digest);
    assert.deepEqual(codes(await decide('finance', approval, { decision: 'maybe', digest })), [
      422,
      'REQUEST_INVALID',
    ]);
    assert.equal((await decide('finance', approval, { decision: 'deny', digest })).status, 200);
    assert.deepEqual(codes(await decide('agent', approval, approve)), [409, 'ALREADY_DECIDED']);
  });

  it('says what differs when the digest is the one of another approval of the run', async () => {
    const { run, digest } = await park();
    const other = await submit('agent', run, 'bank.pay', { arguments: { amount: 900 } });
    const mixed = await decide('finance', other.body.result.approval.id, { decision: 'approve', digest });
    assert.deepEqual(
      mixed.body.changed.map((change: { field: string }) => change.field),
      ['digest', 'arguments', 'shown'],
    );
    assert.deepEqual(mixed.body.changed[1].current, { amount: 900, currency: 'EUR' });
  });

  it('lists for `mine` what the caller may decide now', async () => {
    const { approval, digest } = await park();
    const ids = async (as: string): Promise<string[]> => {
      const found = await api.ask(as, 'GET', '/v1/approvals?mine=true&limit=500');
      return found.body.data.map((item: { id: string }) => item.id);
    };
    assert.ok((await ids('finance')).includes(approval));
    assert.deepEqual(await ids('agent'), []);
    assert.deepEqual(await ids('manager'), []);
    await decide('finance', approval, { decision: 'deny', digest });
    assert.ok(!(await ids('finance')).includes(approval));
    const denied = await api.ask('finance', 'GET', '/v1/approvals?status=denied&limit=1');
    assert.equal(denied.status, 200, denied.text);
    assert.equal(denied.body.data.length, 1);
  });

  it('refuses with the legal links, and the run has the record', async () => {
    const run = await start();
    const blocked = await submit('agent', run, 'bank.close');
    assert.deepEqual([...codes(blocked), blocked.body.rule], [403, 'BLOCKED', 'denied']);
    assert.ok(blocked.body.links.length > 0);
    const stale = await submit('agent', run, 'bank.balance', { expectedVersion: 9 });
    assert.deepEqual(codes(stale), [409, 'STALE_VERSION']);
    const bad = await submit('agent', run, 'bank.pay', { arguments: { amount: 'much' } });
    assert.equal(bad.body.errors[0].pointer, '/arguments/amount');
    const types = (await api.ask('agent', 'GET', `/v1/runs/${run}/audit`)).body.data.map(
      (record: { type: string }) => record.type,
    );
    assert.ok(types.includes('policy.blocked'));
    assert.equal(types.filter((type: string) => type === 'request.refused').length, 0);
    assert.ok(!types.includes('api.called'));
  });

  it('cancels for operators, and revokes what was open', async () => {
    const { run, approval, digest } = await park();
    assert.deepEqual(codes(await api.ask('manager', 'POST', `/v1/runs/${run}/cancel`, { reason: 'x' })), [
      403,
      'FORBIDDEN',
    ]);
    assert.deepEqual(codes(await api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, {})), [
      422,
      'REQUEST_INVALID',
    ]);
    assert.deepEqual(codes(await api.ask('admin', 'POST', `/v1/runs/${run}/retry`, { reason: 'x' })), [
      409,
      'NOT_STUCK',
    ]);
    const cancelled = await api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'wrong invoice' });
    assert.deepEqual([cancelled.status, cancelled.body.run.status], [200, 'cancelled']);
    assert.deepEqual(codes(await decide('finance', approval, { decision: 'approve', digest })), [
      409,
      'APPROVAL_REVOKED',
    ]);
    assert.deepEqual(codes(await submit('agent', run, 'bank.pay', { arguments: { amount: 1 } })), [
      409,
      'RUN_CLOSED',
    ]);
  });

  it('hides a run from those who may not see it, whatever they ask for', async () => {
    const { run, approval, poll } = await park();
    for (const path of [
      `/v1/runs/${run}`,
      `/v1/runs/${run}/audit`,
      `/v1/runs/${run}/history`,
      `/v1/runs/${run}/reconstruction`,
      `/v1/approvals/${approval}`,
      poll,
    ]) {
      assert.deepEqual(codes(await api.ask('employee', 'GET', path)), [404, 'NOT_FOUND'], path);
    }
    assert.deepEqual(codes(await submit('employee', run, 'bank.balance')), [404, 'NOT_FOUND']);
    const list = await api.ask('employee', 'GET', '/v1/runs?limit=500');
    assert.ok(list.body.data.every((run: { startedBy: string }) => run.startedBy === 'employee'));
    const about = await api.ask('auditor', 'GET', `/v1/runs/${run}/audit?type=request.refused`);
    assert.ok(about.body.data.length >= 6, about.text);
    assert.equal(about.body.data[0].actor.id, 'employee');
  });

  it('records views and refused decisions about the run, in the chain of the service', async () => {
    const { run, approval, digest } = await park();
    await api.ask('agent', 'GET', `/v1/approvals/${approval}`);
    await api.ask('finance', 'GET', `/v1/approvals/${approval}`);
    await decide('manager', approval, { decision: 'approve', digest });
    const { body } = await api.ask(
      'agent',
      'GET',
      `/v1/runs/${run}/audit?type=approval.viewed,approval.refused`,
    );
    const told = body.data.map((record: { type: string; actor: { id: string }; chain: string }) => [
      record.type,
      record.actor.id,
      record.chain,
    ]);
    assert.deepEqual(told, [
      ['approval.viewed', 'finance', 'service'],
      ['approval.refused', 'manager', 'service'],
    ]);
  });

  it('puts an action together again from the record', async () => {
    const { run, approval, digest } = await park();
    await decide('finance', approval, { decision: 'approve', digest, reason: 'invoice 7' });
    await submit('agent', run, 'bank.close');
    const { body } = await api.ask('auditor', 'GET', `/v1/runs/${run}/reconstruction`);
    assert.equal(body.actions.length, 2);
    const [paid, blocked] = body.actions;
    assert.deepEqual(
      [paid.transition, paid.prompt, paid.response, paid.tool],
      ['bank.pay', 'pay it', 'I pay it', 'bank.pay'],
    );
    assert.deepEqual(paid.input, { amount: 500 });
    assert.deepEqual(
      [paid.approval.decision, paid.approval.by.id, paid.approval.reason, paid.approval.digest],
      ['approve', 'finance', 'invoice 7', digest],
    );
    assert.deepEqual(paid.output, { paid: true });
    assert.deepEqual(paid.missing, []);
    assert.deepEqual([blocked.errors[0].code, blocked.missing], ['BLOCKED', ['prompt', 'response']]);
    assert.equal(body.complete, false);
  });

  it('says that the reason of an approval is missing where it was damaged, and is not complete', async () => {
    const { run, approval, digest } = await park();
    await decide('finance', approval, { decision: 'approve', digest, reason: 'invoice 7' });
    const read = async () => {
      const { body } = await api.ask('auditor', 'GET', `/v1/runs/${run}/reconstruction`);
      const [{ approval, missing }] = body.actions;
      return { reason: approval.reason, missing, complete: body.complete };
    };
    assert.deepEqual(await read(), { reason: 'invoice 7', missing: [], complete: true });
    await api.database.asSuperuser(
      `alter table payload disable trigger user;
       update payload set ciphertext = set_byte(ciphertext, 20, get_byte(ciphertext, 20) # 1)
         where id in (select reason_ref ->> 'payload' from decision where approval = '${approval}')`,
    );
    assert.deepEqual(await read(), { reason: null, missing: ['reason'], complete: false });
  });

  it('says why a run was cancelled, and that it is missing once it was erased', async () => {
    const { run } = await park();
    const cancelled = await api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'paid by hand' });
    assert.equal(cancelled.status, 200, cancelled.text);
    const read = async () => {
      const { body } = await api.ask('auditor', 'GET', `/v1/runs/${run}/reconstruction`);
      const { reason, missing } = body.actions.find(({ transition }: any) => transition === 'cancel');
      return { reason, missing, complete: body.complete };
    };
    assert.deepEqual(await read(), { reason: 'paid by hand', missing: [], complete: true });
    await api.database.asSuperuser('update payload_key set wrapped = null where run = $1', [run]);
    assert.deepEqual(await read(), { reason: null, missing: ['reason'], complete: false });
  });

  it('pages lists, and refuses a cursor that is none', async () => {
    await start();
    await start();
    const first = await api.ask('agent', 'GET', '/v1/runs?limit=1');
    const second = await api.ask('agent', 'GET', `/v1/runs?limit=1&cursor=${first.body.nextCursor}`);
    assert.notEqual(first.body.data[0].id, second.body.data[0].id);
    for (const path of ['/v1/runs', '/v1/approvals', '/v1/flows']) {
      assert.deepEqual(
        codes(await api.ask('agent', 'GET', `${path}?cursor=bm9wZQ`)),
        [422, 'REQUEST_INVALID'],
        path,
      );
    }
    assert.deepEqual(codes(await api.ask('auditor', 'GET', '/v1/audit?cursor=bm9wZQ')), [
      422,
      'REQUEST_INVALID',
    ]);
  });

  it('pins a list of records to a size, and gives the exact bytes of an entry', async () => {
    const run = await start();
    const all = await api.ask('auditor', 'GET', `/v1/audit?run=${run}`);
    const pinned = await api.ask('auditor', 'GET', `/v1/audit?limit=2&asOf=3`);
    assert.equal(pinned.body.asOfSize, 3);
    const rest = await api.ask('auditor', 'GET', `/v1/audit?limit=500&cursor=${pinned.body.nextCursor}`);
    assert.ok(rest.body.data.every((record: { index: number }) => record.index < 3));
    const entry = await api.ask('auditor', 'GET', `/v1/audit/entries/${all.body.data[0].index}`);
    assert.equal(entry.body.id, all.body.data[0].id);
    assert.deepEqual(codes(await api.ask('auditor', 'GET', '/v1/audit/entries/99999999')), [
      404,
      'NOT_FOUND',
    ]);
    assert.deepEqual(codes(await api.ask('agent', 'GET', '/v1/audit')), [403, 'FORBIDDEN']);
  });

  it('takes a decision that no worker answers: 202, durable, and counted once', async () => {
    const { approval, digest } = await park();
    api.kernel.idle = true;
    const taken = await decide('finance', approval, { decision: 'approve', digest });
    assert.deepEqual([taken.status, taken.body.decision.status], [202, 'accepted'], taken.text);
    const kept = await api.ask('finance', 'GET', taken.body.decision.href);
    assert.equal(kept.body.status, 'accepted');
    assert.deepEqual(codes(await decide('finance', approval, { decision: 'deny', digest })), [
      409,
      'ALREADY_DECIDED',
    ]);
    api.kernel.idle = false;
    await api.kernel.settled();
    assert.equal((await api.ask('finance', 'GET', taken.body.decision.href)).body.status, 'applied');
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${approval}`)).body.status, 'consumed');
  });

  it('answers as soon as the step has committed, before its workflow task is complete', async () => {
    const run = await start();
    api.kernel.held = true;
    try {
      const sent = await submit('agent', run, 'bank.pay?wait=30', { arguments: { amount: 500 } });
      assert.deepEqual([sent.status, sent.body.result.status], [202, 'pending'], sent.text);
    } finally {
      api.kernel.held = false;
    }
    await api.kernel.settled();
  });

  it('lets a submitted action be polled before the run has taken it', async () => {
    const run = await start();
    api.kernel.idle = true;
    const sent = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.balance?wait=0`, {});
    assert.deepEqual([sent.status, sent.body.result.status], [202, 'executing'], sent.text);
    assert.equal(sent.headers.get('location'), sent.body.result.poll);
    assert.equal((await api.ask('agent', 'GET', sent.body.result.poll)).body.status, 'executing');
    assert.equal((await api.ask('employee', 'GET', sent.body.result.poll)).status, 404);
    api.kernel.idle = false;
    await api.kernel.settled();
    assert.equal((await api.ask('agent', 'GET', sent.body.result.poll)).body.status, 'executed');
  });

  it('answers 503 when the engine is away, and such a start never runs', async () => {
    api.kernel.away = true;
    const headers = { 'idempotency-key': 'while-away' };
    const away = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {}, headers);
    assert.deepEqual(codes(away), [503, 'ENGINE_UNAVAILABLE']);
    api.kernel.away = false;
    const back = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {}, headers);
    assert.deepEqual([back.status, back.body.run.status], [201, 'running']);
  });
});
