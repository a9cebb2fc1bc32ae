import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DecideRequest, MessageOutcome } from '../../../src/client/types.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('a batch whose runs do not answer', () => {
  let api: Harness;
  let asked: DecideRequest[] = [];
  /** The result that the client gives instead of asking the run. */
  let instead: (request: DecideRequest) => MessageOutcome | null = () => null;
  let clock = 0;
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      now: () => new Date(Date.now() + clock),
      client: {
        ...deps.client,
        decide: (request) => {
          asked.push(request);
          const said = instead(request);
          return said === null ? deps.client.decide(request) : Promise.resolve(said);
        },
      },
    }));
  });
  after(() => api.stop());

  const start = async (): Promise<string> =>
    (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
  const park = async (run: string, amount: number): Promise<object> => {
    const parked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount },
    });
    const { id, digest } = parked.body.result.approval;
    return { approval: id, decision: 'approve', digest };
  };
  const parkAll = async (run: string, count: number): Promise<object[]> => {
    const decisions: object[] = [];
    for (let n = 0; n < count; n += 1) decisions.push(await park(run, 500 + n));
    return decisions;
  };
  /** Makes a dry run, and gives a function that sends the same batch each time that it is called. */
  const tried = async (
    decisions: object[],
    mode: string,
    headers: Record<string, string> = {},
  ): Promise<() => Promise<Answer>> => {
    const batch = { decisions, mode };
    // Under the same key, if there is one: a dry run does not use it up.
    const dry = await api.ask('finance', 'POST', '/v1/approvals/batch', { ...batch, dryRun: true }, headers);
    const real = { ...batch, dryRun: false, token: dry.body.token };
    asked = [];
    return () => api.ask('finance', 'POST', '/v1/approvals/batch', real, headers);
  };
  const make = async (decisions: object[]): Promise<{ status: string; code?: string }[]> => {
    const made = await (await tried(decisions, 'each'))();
    assert.equal(made.status, 200, made.text);
    return made.body.results;
  };
  const waits = (): (number | undefined)[] => asked.map(({ waitMs }) => waitMs);

  it('waits once for a run: its other decisions are kept without waiting, and count', async () => {
    const run = await start();
    const decisions = await parkAll(run, 5);
    api.kernel.idle = true;
    const results = await make(decisions);
    assert.deepEqual([...new Set(results.map(({ status }) => status))], ['accepted']);
    assert.deepEqual(waits(), [3_000, 1, 1, 1, 1]);
    api.kernel.idle = false;
    await api.kernel.settled();
    const { rows } = await api.database.asSuperuser(`select status from decision where run = $1`, [run]);
    assert.equal(rows.length, 5);
  });

  it('waits so long for all of them and no longer', async () => {
    const decisions: object[] = [];
    for (let n = 0; n < 12; n += 1) decisions.push(...(await parkAll(await start(), 1)));
    instead = ({ decisionId }) => {
      clock += 10_000;
      return { status: 'executing', messageId: decisionId };
    };
    await make(decisions);
    instead = () => null;
    assert.deepEqual(
      waits().sort((a = 0, b = 0) => a - b),
      [1, 1, ...Array<number>(10).fill(3_000)],
    );
  });

  it('does not ask a run again that could not be asked, and says so of each', async () => {
    const decisions = await parkAll(await start(), 3);
    instead = () => ({ status: 'unavailable', code: 'AUDIT_UNAVAILABLE' });
    const results = await make(decisions);
    instead = () => null;
    assert.equal(asked.length, 1);
    assert.deepEqual(
      results.map(({ status, code }) => `${status} ${code}`),
      Array(3).fill('refused AUDIT_UNAVAILABLE'),
    );
  });

  it('keeps no answer in which a run could not be asked, so that the same batch under its key decides it then', async () => {
    const decisions = [await park(await start(), 500), await park(await start(), 501)];
    const [, away] = decisions as { approval: string }[];
    instead = ({ approval }) =>
      approval === away?.approval ? { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' } : null;
    const headers = { 'idempotency-key': 'a-run-is-away' };
    const send = await tried(decisions, 'each', headers);
    const first = await send();
    instead = () => null;
    assert.deepEqual([first.status, first.body.ok, first.headers.get('retry-after')], [200, false, '2']);
    const again = await send();
    assert.equal(again.headers.get('idempotency-replayed'), null);
    assert.deepEqual([again.status, again.body.ok], [200, true], again.text);
    assert.equal((await send()).headers.get('idempotency-replayed'), 'true');
  });

  it('says of none that it was not made, where it asks for all and the first run could not be asked', async () => {
    const decisions = [await park(await start(), 500), await park(await start(), 501)];
    instead = () => ({ status: 'unavailable', code: 'AUDIT_UNAVAILABLE' });
    const headers = { 'idempotency-key': 'all-and-away' };
    const send = await tried(decisions, 'all', headers);
    const first = await send();
    instead = () => null;
    assert.deepEqual(codes(first), [503, 'AUDIT_UNAVAILABLE']);
    assert.match(first.body.detail, /not certain whether this was done: repeat the request/);
    assert.doesNotMatch(first.text, /none was made/);
    const again = await send();
    assert.deepEqual([again.status, again.body.ok], [200, true], again.text);
  });
});
