import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DecideRequest, MessageOutcome } from '../../../src/client/types.js';
import { credentialEnded } from '../../../src/service/refusal.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

type Instead = (request: DecideRequest, turn: number) => Promise<MessageOutcome | null>;

describe('a batch in which one is refused after all', () => {
  let api: Harness;
  let turns = 0;
  /** Called when a decision's turn has come; a result that it gives is used instead of asking the run. */
  let atTurn: Instead = () => Promise.resolve(null);
  let beforeAuthenticating: () => Promise<void> = () => Promise.resolve();
  let laterMs = 0;
  let decideReally: (request: DecideRequest) => Promise<MessageOutcome>;
  before(async () => {
    api = await startApi((deps) => {
      decideReally = (request) => deps.client.decide(request);
      return {
        ...deps,
        now: () => new Date(deps.now().getTime() + laterMs),
        authenticate: async (header) => {
          await beforeAuthenticating();
          return deps.authenticate(header);
        },
        client: {
          ...deps.client,
          decide: async (request) => (await atTurn(request, (turns += 1))) ?? decideReally(request),
        },
      };
    });
  });
  after(() => api.stop());

  let made = 0;
  const decider = async (): Promise<{ key: string; keyId: string }> => {
    const body = { id: `decider-${(made += 1)}`, kind: 'human', roles: ['finance.controller'] };
    const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', body)).body;
    return { key, keyId };
  };
  const revoke = async (keyId: string): Promise<void> => {
    await api.database.pool.query('update api_key set revoked_at = now() where key_id = $1', [keyId]);
  };
  const park = async (count: number): Promise<object[]> => {
    const decisions: object[] = [];
    for (let n = 0; n < count; n += 1) {
      const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
      const path = `/v1/runs/${run}/transitions/bank.pay`;
      const { id, digest } = (await api.ask('agent', 'POST', path, { arguments: { amount: 500 } })).body
        .result.approval;
      decisions.push({ approval: id, decision: 'approve', digest });
    }
    return decisions;
  };
  const make = async (key: string, decisions: object[], mode: string, instead: Instead): Promise<Answer> => {
    const batch = { decisions, mode };
    const { token } = (await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true })).body;
    assert.ok(token);
    turns = 0;
    atTurn = instead;
    const answer = await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: false, token });
    atTurn = () => Promise.resolve(null);
    return answer;
  };
  const statuses = ({ body }: Answer): string[] =>
    body.results.map(({ status, code }: { status: string; code?: string }) => code ?? status);
  const open = async (decisions: object[]): Promise<boolean[]> => {
    const ids = decisions.map((decision) => (decision as { approval: string }).approval);
    const found = await Promise.all(ids.map((id) => api.ask('finance', 'GET', `/v1/approvals/${id}`)));
    return found.map(({ body }) => body.status === 'open');
  };
  const full: MessageOutcome = {
    status: 'answered',
    by: 'door',
    answer: { status: 'refused', code: 'RATE_LIMITED', message: 'the run is asked too much' },
  };

  it('makes all of them where none is', async () => {
    const { key } = await decider();
    const answer = await make(key, await park(3), 'all', () => Promise.resolve(null));
    assert.deepEqual([answer.body.ok, statuses(answer)], [true, ['applied', 'applied', 'applied']]);
  });

  it('makes nothing more once one is refused, and says what stands', async () => {
    const { key } = await decider();
    const decisions = await park(4);
    const answer = await make(key, decisions, 'all', (_, turn) => Promise.resolve(turn === 2 ? full : null));
    assert.equal(answer.status, 200);
    assert.equal(answer.body.ok, false);
    assert.deepEqual(statuses(answer), ['applied', 'RATE_LIMITED', 'not_made', 'not_made']);
    assert.deepEqual(await open(decisions), [false, true, true, true]);
  });

  it('says that none was made where the first is', async () => {
    const { key } = await decider();
    const decisions = await park(3);
    const answer = await make(key, decisions, 'all', () => Promise.resolve(full));
    assert.deepEqual(codes(answer), [409, 'BATCH_REFUSED']);
    assert.deepEqual(statuses(answer), ['RATE_LIMITED', 'not_made', 'not_made']);
    assert.deepEqual(await open(decisions), [true, true, true]);
  });

  it('makes nothing more once the key is revoked', async () => {
    const { key, keyId } = await decider();
    const decisions = await park(3);
    const answer = await make(key, decisions, 'all', async (_, turn) => {
      if (turn === 1) await revoke(keyId);
      return null;
    });
    // On a slow machine the caller is authenticated once more, refused, and told nothing.
    if (answer.status !== 401) assert.deepEqual(statuses(answer), ['applied', 'UNAUTHENTICATED', 'not_made']);
    assert.deepEqual(await open(decisions), [false, true, true]);
  });

  it('goes on with the others in mode each', async () => {
    const { key } = await decider();
    const answer = await make(key, await park(3), 'each', (_, turn) =>
      Promise.resolve(turn === 1 ? full : null),
    );
    assert.equal(statuses(answer).filter((status) => status === 'applied').length, 2);
  });

  it('records that its key was revoked once, with the count of what it decided no more', async () => {
    const failed = async (): Promise<{ data: { reason: string; count?: number } }[]> =>
      (await api.ask('admin', 'GET', '/v1/audit?type=authn.failed&limit=500')).body.data;
    /** Revokes the key once this many have authenticated: the dry run, the request itself, and then all turns, several at a time. */
    const revokedAfter = async (first: number): Promise<unknown[]> => {
      const { key, keyId } = await decider();
      const decisions = await park(12);
      const before = (await failed()).length;
      let asked = 0;
      let revoked: Promise<unknown> | null = null;
      beforeAuthenticating = async () => {
        if ((asked += 1) > first) await (revoked ??= revoke(keyId));
      };
      const answer = await make(key, decisions, 'each', () => Promise.resolve(null));
      beforeAuthenticating = () => Promise.resolve();
      if (answer.status !== 401)
        assert.ok(
          statuses(answer).every((status) => status === 'UNAUTHENTICATED'),
          answer.text,
        );
      assert.ok((await open(decisions)).every(Boolean));
      return (await failed()).slice(before).map(({ data }) => [data.reason, data.count]);
    };
    // A request whose body comes late authenticates once more.
    let facts: unknown[] = [];
    for (const first of [2, 3, 4]) if (facts.length < 2) facts = await revokedAfter(first);
    assert.deepEqual(facts, [
      ['revoked_key', undefined],
      ['revoked_key', 11],
    ]);
  });

  it('is told again under its key only to who still sees all of its approvals', async () => {
    const { key, keyId } = await decider();
    // Who has decided an approval sees its run for good, so that one of another digest is among them, which is refused.
    for (const refused of [0, 1]) {
      const decisions = (await park(2)).map((decision, index) =>
        index === refused ? { ...decision, digest: `sha256:${'0'.repeat(64)}` } : decision,
      );
      const batch = { decisions, mode: 'each' };
      const { token } = (await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true })).body;
      const headers = { 'idempotency-key': `seen-${refused}` };
      const ask = (): Promise<Answer> =>
        api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: false, token }, headers);
      const asked = await ask();
      assert.equal(asked.status, 200, asked.text);
      const again = await ask();
      assert.deepEqual([again.text, again.headers.get('idempotency-replayed')], [asked.text, 'true']);
      await api.database.pool.query(`update api_key set roles = '{}' where key_id = $1`, [keyId]);
      const hidden = await ask();
      assert.deepEqual(codes(hidden), [404, 'NOT_FOUND']);
      assert.equal(hidden.headers.get('idempotency-replayed'), null);
      await api.database.pool.query(`update api_key set roles = '{finance.controller}' where key_id = $1`, [
        keyId,
      ]);
      assert.equal((await ask()).text, asked.text);
    }
  });

  interface CutOff {
    readonly id: string;
    readonly keyId: string;
    readonly again: () => Promise<Answer>;
  }
  /** A batch under a key: its first decision is made, and the process fails at the second. */
  const cutOff = async (decisions: object[], mode: string): Promise<CutOff> => {
    const { key, keyId } = await decider();
    const id = `decider-${made}`;
    const batch = { decisions, mode };
    const { token } = (await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true })).body;
    const headers = { 'idempotency-key': `cut-off-${keyId}` };
    const again = (): Promise<Answer> =>
      api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: false, token }, headers);
    turns = 0;
    const [, second] = decisions as { approval: string }[];
    atTurn = ({ approval }) =>
      approval === second?.approval ? Promise.reject(new Error('the process fails')) : Promise.resolve(null);
    assert.deepEqual(codes(await again()), [500, 'INTERNAL']);
    atTurn = () => Promise.resolve(null);
    return { id, keyId, again };
  };
  const cancelRunOf = async (decision: object | undefined): Promise<void> => {
    const { approval } = decision as { approval: string };
    const { run } = (await api.ask('finance', 'GET', `/v1/approvals/${approval}`)).body;
    const asked = await api.ask('admin', 'POST', `/v1/runs/${String(run)}/cancel`, { reason: 'enough' });
    assert.equal(asked.status, 200, asked.text);
  };

  it('that was cut off makes nothing more where one would be refused by now, and tells what stands', async () => {
    const decisions = await park(3);
    const { again } = await cutOff(decisions, 'all');
    await cancelRunOf(decisions[2]);
    const answer = await again();
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(
      [answer.body.ok, statuses(answer)],
      [false, ['applied', 'not_made', 'APPROVAL_REVOKED']],
    );
    assert.deepEqual(await open(decisions), [false, true, false]);
  });

  it('that was cut off and is repeated with a key that is revoked meanwhile is not told that nothing was made', async () => {
    for (const mode of ['all', 'each']) {
      const { keyId, again } = await cutOff(await park(2), mode);
      let asked = 0;
      beforeAuthenticating = async () => {
        if ((asked += 1) === 2) await revoke(keyId);
      };
      const answer = await again();
      beforeAuthenticating = () => Promise.resolve();
      assert.deepEqual(codes(answer), [401, 'UNAUTHENTICATED'], answer.text);
      assert.match(answer.body.detail, /not certain whether this was done/);
      await api.database.pool.query('update api_key set revoked_at = null where key_id = $1', [keyId]);
      const back = await again();
      assert.deepEqual(statuses(back), ['applied', 'applied'], back.text);
    }
  });

  it('whose key is revoked in the middle of it is not told what was made, nor that the rest is refused, and goes on under its key', async () => {
    for (const mode of ['all', 'each']) {
      const { key, keyId } = await decider();
      const batch = { decisions: await park(2), mode };
      const dry = await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true });
      const real = { ...batch, dryRun: false, token: dry.body.token };
      const headers = { 'idempotency-key': `revoked-midway-${mode}` };
      const send = (): Promise<Answer> => api.ask(key, 'POST', '/v1/approvals/batch', real, headers);
      let asked = 0;
      beforeAuthenticating = async () => {
        if ((asked += 1) === 3) await revoke(keyId);
      };
      const answer = await send();
      beforeAuthenticating = () => Promise.resolve();
      assert.deepEqual(codes(answer), [401, 'UNAUTHENTICATED'], answer.text);
      assert.ok(answer.body.detail.startsWith(`${credentialEnded}, and it is not certain whether`));
      assert.match(answer.body.detail, /: repeat the request under the same Idempotency-Key/);
      assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer /);
      await api.database.pool.query('update api_key set revoked_at = null where key_id = $1', [keyId]);
      const back = await send();
      assert.deepEqual(statuses(back), ['applied', 'applied'], back.text);
    }
  });

  it('that was cut off makes nothing more once its dry run is too long ago, and tells what stands', async () => {
    for (const [mode, left] of [
      ['all', 'DRY_RUN_REQUIRED'],
      ['each', 'DRY_RUN_REQUIRED'],
    ] as const) {
      const decisions = await park(2);
      const { again } = await cutOff(decisions, mode);
      laterMs = 16 * 60_000;
      const answer = await again();
      laterMs = 0;
      assert.deepEqual([answer.body.ok, statuses(answer)], [false, ['applied', left]], answer.text);
      assert.deepEqual(await open(decisions), [false, true]);
    }
  });

  it('is not kept where a run takes no more just now, so that the same batch under its key decides it then', async () => {
    for (const [mode, status] of [
      ['all', 409],
      ['each', 200],
    ] as const) {
      const { key } = await decider();
      const batch = { decisions: await park(2), mode };
      const dry = await api.ask(key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true });
      const real = { ...batch, dryRun: false, token: dry.body.token };
      const headers = { 'idempotency-key': `takes-no-more-${mode}` };
      const send = (): Promise<Answer> => api.ask(key, 'POST', '/v1/approvals/batch', real, headers);
      atTurn = () => Promise.resolve(full);
      const first = await send();
      atTurn = () => Promise.resolve(null);
      assert.deepEqual([first.status, first.headers.get('retry-after')], [status, '2'], first.text);
      assert.deepEqual(statuses(await send()), ['applied', 'applied']);
    }
  });

  const refusals = async (decisions: object[]): Promise<[string, string][]> => {
    const ids = decisions.map((decision) => (decision as { approval: string }).approval);
    const page = await api.ask('auditor', 'GET', '/v1/audit?limit=500&type=approval.refused,request.refused');
    return page.body.data
      .filter(({ approval }: { approval?: string }) => ids.includes(approval ?? ''))
      .map(({ type, data }: { type: string; data: { code: string } }) => [type, data.code]);
  };

  it('puts a refusal on record only of what is refused, and once', async () => {
    const { key } = await decider();
    const decisions = await park(2);
    // The decision is kept, and nobody is told.
    const answer = await make(key, decisions, 'each', async (request, turn) => {
      if (turn !== 1) return null;
      await decideReally(request);
      return { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' };
    });
    assert.deepEqual(statuses(answer).sort(), ['AUDIT_UNAVAILABLE', 'applied']);
    assert.deepEqual(await refusals(decisions), [['request.refused', 'AUDIT_UNAVAILABLE']]);
  });

  it('is told of what an earlier attempt has kept as accepted, where its run cannot be asked of it', async () => {
    for (const mode of ['all', 'each']) {
      const decisions = await park(2);
      const { again } = await cutOff(decisions, mode);
      const [first] = decisions as { approval: string }[];
      await api.kernel.settled();
      await api.database.asSuperuser(
        `update decision set status = 'accepted', code = null where approval = '${first?.approval ?? ''}'`,
      );
      atTurn = ({ approval }) =>
        Promise.resolve(
          approval === first?.approval ? { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' } : null,
        );
      const answer = await again();
      atTurn = () => Promise.resolve(null);
      assert.deepEqual([answer.body.ok, statuses(answer)], [true, ['accepted', 'applied']], answer.text);
      assert.deepEqual(await refusals(decisions), []);
    }
  });

  it('decides nothing more once one of its decisions has failed and its caller was told so', async () => {
    const { key } = await decider();
    const decisions = await park(12);
    const answer = await make(key, decisions, 'each', (_, turn) =>
      turn === 1 ? Promise.reject(new Error('the process fails')) : Promise.resolve(null),
    );
    assert.deepEqual(codes(answer), [500, 'INTERNAL']);
    const told = await open(decisions);
    await api.kernel.settled();
    assert.deepEqual(await open(decisions), told);
    assert.ok(turns <= 10, 'what had not begun is not begun');
  });
});
