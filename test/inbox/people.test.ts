import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { run } from '../../src/cli/command.js';
import { until } from '../../testing/flows.js';
import { asSuperuser } from '../../testing/servers/database.js';
import { joinDesk } from './joint-desk.js';
import { codes, decide, ids, inbox, park, records, type Desk } from './support.js';

const hour = 3_600_000;
const inHours = (hours: number): string => new Date(Date.now() + hours * hour).toISOString();

const joint = joinDesk();

describe('claims, delegation and absence', () => {
  let desk: Desk;
  before(async () => {
    desk = await joint();
  });
  const at = (id: string, what: string): string => `/v1/approvals/${id}/${what}`;

  it('shows who is looking at it, and blocks nobody', async () => {
    const parked = await park(desk, 'note.write', { text: 'a' });
    const claimed = await desk.as['clark']!('POST', at(parked.id, 'claim'), { for: '30m' });
    assert.deepEqual([claimed.status, claimed.body.claims[0].by], [200, 'clark']);
    assert.deepEqual(ids(await inbox(desk, 'clark', 'claimed=true')), [parked.id]);
    assert.deepEqual(await inbox(desk, 'carla', 'claimed=true'), []);
    const seen = await desk.as['carla']!('GET', `/v1/approvals/${parked.id}`);
    assert.equal(seen.body.claims[0].by, 'clark');
    assert.equal((await desk.as['carla']!('POST', at(parked.id, 'claim'), {})).body.claims.length, 2);
    assert.equal((await decide(desk, 'carla', parked, 'approve')).status, 200);
    const late = await desk.as['clark']!('POST', at(parked.id, 'claim'), {});
    assert.deepEqual([...codes(late), late.body.decidedBy.id], [409, 'ALREADY_DECIDED', 'carla']);
    assert.equal((await desk.as['clark']!('POST', at(parked.id, 'release'))).status, 200);
    await desk.as['clark']!('POST', at(parked.id, 'release'));
    const told = [
      ...(await records(desk, parked.run, 'approval.claimed')),
      ...(await records(desk, parked.run, 'approval.released')),
    ].map((one) => [one.type, one.actor.id, one.chain]);
    assert.deepEqual(told, [
      ['approval.claimed', 'clark', 'service'],
      ['approval.claimed', 'carla', 'service'],
      ['approval.released', 'clark', 'service'],
    ]);
  });

  it('lets a claim run out by itself', async () => {
    const parked = await park(desk, 'note.write', { text: 'b' });
    await desk.as['clark']!('POST', at(parked.id, 'claim'), { for: '1s' });
    await until('the claim to run out', async () => {
      const { body } = await desk.as['carla']!('GET', `/v1/approvals/${parked.id}`);
      return body.claims.length === 0;
    });
    assert.deepEqual(await inbox(desk, 'clark', 'claimed=true'), []);
    const tooLong = await desk.as['clark']!('POST', at(parked.id, 'claim'), { for: '9h' });
    assert.deepEqual(codes(tooLong), [422, 'REQUEST_INVALID']);
  });

  it('is for those alone who may decide, and never for an agent', async () => {
    const parked = await park(desk, 'bank.pay', { vendor: 'ACME' });
    for (const what of ['claim', 'delegate']) {
      const body = what === 'claim' ? {} : { to: 'carol' };
      for (const [as, why] of [
        ['drone', 'not_human'],
        ['robot', 'not_human'],
        ['norman', 'role_missing'],
      ] as const) {
        const refused = await desk.as[as]!('POST', at(parked.id, what), body);
        assert.deepEqual([...codes(refused), refused.body.why], [403, 'NOT_AN_APPROVER', why], as);
      }
      assert.deepEqual(codes(await desk.as['clark']!('POST', at(parked.id, what), body)), [404, 'NOT_FOUND']);
    }
    assert.deepEqual(await records(desk, parked.run, 'approval.claimed,approval.delegated'), []);
  });

  const payloads = async (run: string): Promise<number> =>
    (await asSuperuser(desk.stack.databaseUrl, 'select 1 from payload where run = $1', [run])).rows.length;

  it('hands an approval to a person who may decide it, and to nobody else', async () => {
    const parked = await park(desk, 'bank.pay', { vendor: 'ACME' });
    const delegate = (to: string, extra = {}) =>
      desk.as['carla']!('POST', at(parked.id, 'delegate'), { to, ...extra });
    for (const [to, why] of [
      ['nobody-here', 'unknown'],
      ['drone', 'not_human'],
      ['clark', 'role_missing'],
      ['carla', 'self'],
    ]) {
      const refused = await delegate(to!);
      assert.deepEqual([...codes(refused), refused.body.why], [422, 'DELEGATE_UNFIT', why], to);
    }
    const handed = await delegate('carol', { note: 'you know this vendor' });
    const [{ from, to, note }] = handed.body.delegations;
    assert.deepEqual([from, to, note], ['carla', 'carol', 'you know this vendor']);
    assert.deepEqual(ids(await inbox(desk, 'carol', 'delegated=true')), [parked.id]);
    assert.deepEqual(await inbox(desk, 'clark', 'delegated=true'), []);
    const [record] = await records(desk, parked.run, 'approval.delegated');
    assert.deepEqual([record.actor.id, record.data.to], ['carla', 'carol']);
    assert.ok(!JSON.stringify(record.data).includes('vendor'), 'the note is a payload');
    const before = await payloads(parked.run);
    for (const [note, told, recorded] of [
      [undefined, 'you know this vendor', 1],
      ['you know this vendor', 'you know this vendor', 1],
      ['please call them', 'please call them', 2],
    ] as const) {
      const again = await delegate('carol', note === undefined ? {} : { note });
      assert.deepEqual(
        again.body.delegations.map((one: any) => [one.to, one.note]),
        [['carol', told]],
      );
      assert.equal((await records(desk, parked.run, 'approval.delegated')).length, recorded, told);
      assert.equal(await payloads(parked.run), before + recorded - 1, told);
    }
    assert.equal((await decide(desk, 'carla', parked, 'deny', 'I could still')).status, 200);
  });

  it('no longer hands it to a person whose only key with the role was revoked', async () => {
    const made = await desk.as['admin']!('POST', '/v1/keys', {
      id: 'former',
      kind: 'human',
      roles: ['controller'],
    });
    const parked = await park(desk, 'bank.pay', { vendor: 'ACME' });
    await desk.as['admin']!('DELETE', `/v1/keys/${made.body.keyId}`);
    const refused = await desk.as['carla']!('POST', at(parked.id, 'delegate'), { to: 'former' });
    assert.deepEqual([...codes(refused), refused.body.why], [422, 'DELEGATE_UNFIT', 'no_credential']);
  });

  it('shows the delegate of an absent person what both may decide, and gives no right', async () => {
    const shared = await park(desk, 'note.write', { text: 'shared' });
    const clerks = await park(desk, 'book.look');
    const term = { from: inHours(-1), until: inHours(8) };
    const away = await desk.as['clark']!('PUT', '/v1/absences', { ...term, delegate: 'carla' });
    assert.deepEqual([away.status, away.body.principal, away.body.delegate], [200, 'clark', 'carla']);
    const mine = await inbox(desk, 'carla', 'mine=true');
    assert.deepEqual(mine.find((one) => one.id === shared.id)?.onBehalfOf, ['clark']);
    assert.ok(!ids(mine).includes(clerks.id));
    assert.deepEqual(codes(await decide(desk, 'carla', clerks, 'approve')), [404, 'NOT_FOUND']);
    assert.ok((await inbox(desk, 'carol', 'mine=true')).every((one) => one.onBehalfOf === undefined));
    const [set] = (await desk.as['auditor']!('GET', '/v1/audit?type=absence.set')).body.data;
    assert.deepEqual([set.actor.id, set.data.delegate, set.data.until], ['clark', 'carla', term.until]);
    assert.equal((await desk.as['clark']!('DELETE', '/v1/absences')).status, 204);
    const back = await inbox(desk, 'carla', 'mine=true');
    assert.ok(back.every((one) => one.onBehalfOf === undefined));
    assert.deepEqual(codes(await desk.as['clark']!('GET', '/v1/absences')), [404, 'NOT_FOUND']);
  });

  it('is at hand in a shell too, which says that it decides', async () => {
    const [one, two, three] = [
      await park(desk, 'note.write', { text: 'shell' }),
      await park(desk, 'note.write', { text: 'shell' }),
      await park(desk, 'bank.pay', { vendor: 'Shell' }),
    ];
    const shell = async (as: string, ...argv: string[]): Promise<[number, string]> => {
      const lines: string[] = [];
      const line = (text: string): void => void lines.push(text);
      const env = { COUNTERSIGN_URL: desk.stack.url };
      const code = await run([...argv, '--key', desk.keys[as]!], { out: line, err: line, env });
      return [code, lines.join('\n')];
    };
    assert.match((await shell('clark', 'claim', one.id, '--for', '5m'))[1], /looked at by clark until 20/);
    const [, claimed] = await shell('clark', 'approvals', '--claimed', '--text', 'SHELL', '--order', 'age');
    assert.ok(claimed.includes(one.id) && !claimed.includes(two.id), claimed);
    assert.ok(!(await shell('clark', 'release', one.id))[1].includes('looked at'));
    assert.match(
      (await shell('carla', 'delegate', three.id, 'carol', '--note', 'yours'))[1],
      /handed to carol by carla/,
    );
    const tried = await shell('clark', 'batch', 'approve', one.id, two.id);
    assert.deepEqual([tried[0], /nothing is decided yet: add --yes/.test(tried[1])], [0, true], tried[1]);
    const made = await shell('clark', 'batch', 'approve', one.id, two.id, '--yes');
    assert.deepEqual([made[0], made[1].match(/applied/g)?.length], [0, 2], made[1]);
    // Nobody has read what they ask for: a batch prints a line of each.
    assert.deepEqual(await records(desk, one.run, 'approval.viewed'), []);
    assert.equal((await shell('clark', 'batch', 'deny', one.id, '--yes'))[0], 1);
    assert.equal((await shell('carla', 'deny', three.id, '--reason', 'no'))[0], 0);
    const [decided] = await records(desk, three.run, 'approval.decided');
    assert.equal(decided.data.via, 'cli');
    for (const wrong of [['batch', 'maybe', one.id], ['batch', 'approve'], ['batch']])
      assert.equal((await shell('clark', ...wrong))[0], 2);
  });

  it('takes an absence only of a human, for itself, with an end in the future and a human delegate', async () => {
    const set = (as: string, body: object) => desk.as[as]!('PUT', '/v1/absences', body);
    const term = { from: inHours(-1), until: inHours(8) };
    assert.deepEqual(codes(await set('drone', { ...term, delegate: 'carla' })), [403, 'HUMANS_ONLY']);
    for (const delegate of ['drone', 'clark', 'nobody-here'])
      assert.deepEqual(codes(await set('clark', { ...term, delegate })), [422, 'DELEGATE_UNFIT'], delegate);
    for (const wrong of [
      { from: inHours(2), until: inHours(1) },
      { from: inHours(-2), until: inHours(-1) },
    ])
      assert.deepEqual(codes(await set('clark', { ...wrong, delegate: 'carla' })), [422, 'REQUEST_INVALID']);
    const forSomebody = await set('clark', { ...term, delegate: 'carla', principal: 'carol' });
    assert.deepEqual(codes(forSomebody), [422, 'REQUEST_INVALID']);
  });
});
