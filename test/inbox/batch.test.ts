import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { joinDesk } from './joint-desk.js';
import { codes, decide, park, records, type Desk, type Parked } from './support.js';

interface Item {
  readonly approval: string;
  readonly decision: 'approve' | 'deny';
  readonly digest: string;
  readonly reason?: string;
}

const joint = joinDesk();

describe('a batch of decisions', () => {
  let desk: Desk;
  before(async () => {
    desk = await joint();
  });

  const item = ({ id, digest }: Parked, decision: Item['decision'] = 'approve'): Item => ({
    approval: id,
    decision,
    digest,
  });
  const send = (as: string, body: object, headers = {}) =>
    desk.as[as]!('POST', '/v1/approvals/batch', body, headers);
  const dryRun = (as: string, decisions: Item[], mode = 'all') => send(as, { decisions, mode, dryRun: true });
  const statusOf = async ({ id }: Parked): Promise<string> =>
    (await desk.as['norman']!('GET', `/v1/approvals/${id}`)).body.status;
  const outcomes = (body: any): [string, string | undefined][] =>
    body.results.map((one: { status: string; code?: string }) => [one.status, one.code]);
  const notes = (...texts: string[]): Promise<Parked[]> =>
    Promise.all(texts.map((text) => park(desk, 'note.write', { text })));

  it('keeps no answer of a dry run under its idempotency key: the next one tells what holds then', async () => {
    const [a, b] = await notes('a', 'b');
    const asked = { decisions: [item(a!), item(b!)], mode: 'all', dryRun: true };
    const key = { 'idempotency-key': 'looks' };
    assert.equal((await send('clark', asked, key)).body.ok, true);
    await decide(desk, 'clark', b!, 'deny');
    const again = await send('clark', asked, key);
    assert.deepEqual(
      [again.body.ok, again.body.results[1].code, again.headers.get('idempotency-replayed')],
      [false, 'ALREADY_DECIDED', null],
    );
  });

  it('decides nothing in a dry run, and then exactly what that showed', async () => {
    const [a, b] = await notes('a', 'b');
    const decisions = [item(a!), item(b!, 'deny')];
    const tried = await dryRun('clark', decisions);
    assert.deepEqual([tried.status, tried.body.ok, tried.body.dryRun], [200, true, true]);
    assert.match(tried.body.results[0].summary, /note.write/);
    assert.deepEqual([await statusOf(a!), await statusOf(b!)], ['open', 'open']);
    const { token } = tried.body;
    const real = { decisions, mode: 'all', dryRun: false };
    const [c] = await notes('c');
    for (const [as, body] of [
      ['clark', real],
      ['clark', { ...real, token: `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}` }],
      ['clark', { ...real, token, mode: 'each' }],
      ['clark', { ...real, token, decisions: [item(a!), item(b!, 'approve')] }],
      ['clark', { ...real, token, decisions: [item(a!), item(c!, 'deny')] }],
      ['carla', { ...real, token }],
    ] as const)
      assert.deepEqual(codes(await send(as, body)), [428, 'DRY_RUN_REQUIRED']);
    const made = await send('clark', { ...real, token }, { 'idempotency-key': 'once' });
    assert.deepEqual(outcomes(made.body), [
      ['applied', undefined],
      ['applied', undefined],
    ]);
    assert.notEqual(await statusOf(a!), 'open');
    assert.equal(await statusOf(b!), 'denied');
    const [decided] = await records(desk, a!.run, 'approval.decided');
    assert.deepEqual([decided.actor.id, decided.data.via], ['clark', 'batch']);
    const replayed = await send('clark', { ...real, token }, { 'idempotency-key': 'once' });
    assert.deepEqual(replayed.body, made.body);
  });

  it('makes none of them when one would be refused, or each that would not', async () => {
    const [open, closed] = await notes('open', 'closed');
    const decisions = [item(open!), item(closed!)];
    const tried = await dryRun('clark', decisions);
    await decide(desk, 'carla', closed!, 'deny');
    const all = await send('clark', { decisions, mode: 'all', dryRun: false, token: tried.body.token });
    assert.deepEqual(codes(all), [409, 'BATCH_REFUSED']);
    assert.deepEqual(outcomes(all.body), [
      ['would_apply', undefined],
      ['refused', 'ALREADY_DECIDED'],
    ]);
    assert.equal(all.body.results[1].decidedBy.id, 'carla');
    assert.equal(await statusOf(open!), 'open');
    const [refused] = await records(desk, closed!.run, 'approval.refused');
    assert.deepEqual([refused.actor.id, refused.data.code], ['clark', 'ALREADY_DECIDED']);
    assert.deepEqual(await records(desk, open!.run, 'approval.refused'), []);

    const again = await dryRun('clark', decisions);
    assert.deepEqual([again.body.ok, again.body.token], [false, undefined]);
    const each = await dryRun('clark', decisions, 'each');
    const made = await send('clark', { decisions, mode: 'each', dryRun: false, token: each.body.token });
    assert.deepEqual([made.status, made.body.ok], [200, false]);
    assert.deepEqual(outcomes(made.body), [
      ['applied', undefined],
      ['refused', 'ALREADY_DECIDED'],
    ]);
  });

  it('refuses item by item what a single decision refuses', async () => {
    const [fine, foreign, unsure] = await notes('fine', 'foreign', 'unsure');
    const hidden = await park(desk, 'bank.pay', { vendor: 'ACME' });
    const wrong = { ...item(unsure!), digest: foreign!.digest };
    const missing = { approval: foreign!.id, decision: 'approve' } as Item;
    const decisions = [item(fine!), wrong, missing, item(hidden), { ...item(fine!), approval: 'apr_none' }];
    const { body } = await dryRun('clark', decisions, 'each');
    assert.deepEqual(
      outcomes(body).map(([, code]) => code),
      [undefined, 'DIGEST_MISMATCH', 'DIGEST_REQUIRED', 'NOT_FOUND', 'NOT_FOUND'],
    );
    assert.deepEqual(outcomes((await dryRun('drone', [item(fine!)])).body), [['refused', 'NOT_AN_APPROVER']]);
    assert.equal(await statusOf(fine!), 'open');
  });

  it('never holds what cannot be undone, unless the environment says so', async () => {
    const here = await park(desk, 'bank.pay', { vendor: 'ACME' });
    const there = await park(desk, 'bank.pay', { vendor: 'ACME' }, 'branch');
    const reasoned = (parked: Parked): Item => ({ ...item(parked), reason: 'paid' });
    const mixed = await dryRun('carla', [reasoned(here), reasoned(there)], 'each');
    assert.deepEqual(outcomes(mixed.body), [
      ['refused', 'BATCH_IRREVERSIBLE'],
      ['would_apply', undefined],
    ]);
    for (const reason of [undefined, ' ', '\u200b\u2060', '\u3164']) {
      const unreasoned = { ...item(there), ...(reason === undefined ? {} : { reason }) };
      assert.deepEqual(outcomes((await dryRun('carla', [unreasoned])).body), [
        ['refused', 'REASON_REQUIRED'],
      ]);
    }
    const blank = { decision: 'approve', digest: there.digest, reason: '\u200b \ufe0f' };
    const path = `/v1/approvals/${there.id}/decision`;
    assert.equal((await desk.as['carla']!('POST', path, blank)).body.code, 'REASON_REQUIRED');
    const { token } = mixed.body;
    const decisions = [reasoned(here), reasoned(there)];
    const made = await send('carla', { decisions, mode: 'each', dryRun: false, token });
    assert.deepEqual(outcomes(made.body), [
      ['refused', 'BATCH_IRREVERSIBLE'],
      ['applied', undefined],
    ]);
    assert.equal(await statusOf(here), 'open');
  });

  it('holds a hundred at most, and each once', async () => {
    const [one] = await notes('one');
    const many = Array.from({ length: 101 }, (_, index) => ({ ...item(one!), approval: `apr_${index}` }));
    for (const decisions of [many, [], [item(one!), item(one!, 'deny')]])
      assert.deepEqual(codes(await send('clark', { decisions })), [422, 'REQUEST_INVALID']);
  });
});
