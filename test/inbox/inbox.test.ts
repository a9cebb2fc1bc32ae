import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  ask,
  codes,
  decide,
  ids,
  inbox,
  openDesk,
  park,
  records,
  startRun,
  type Desk,
  type Parked,
} from './support.js';

describe('the inbox', () => {
  let desk: Desk;
  let look: Parked;
  let note: Parked;
  let pay: Parked;
  let later: Parked;
  before(async () => {
    desk = await openDesk();
    look = await park(desk, 'book.look');
    note = await park(desk, 'note.write', { text: 'for the Würzburg office' });
    pay = await park(desk, 'bank.pay', { vendor: 'ACME', amount: 60_000 });
    later = await park(desk, 'bank.pay', { vendor: 'Bolt' }, 'branch');
  });
  after(() => desk.stop());

  it('stands in order of risk and then of age, or of age alone', async () => {
    assert.deepEqual(ids(await inbox(desk, 'norman', 'status=open')), [pay.id, later.id, note.id, look.id]);
    const byAge = ids(await inbox(desk, 'norman', 'status=open&order=age'));
    assert.deepEqual(byAge, [look.id, note.id, pay.id, later.id]);
  });

  it('is filtered by everything that an approver sorts by', async () => {
    const found: [string, Parked[]][] = [
      ['role=controller', [pay, later, note]],
      ['environment=staging', [later]],
      ['tool=bank.pay', [pay, later]],
      ['tier=read_only', [look]],
      ['tier=none', []],
      ['transition=note.write', [note]],
      ['requestedBy=robot&flow=desk', [pay, note, look]],
      ['requestedBy=drone', []],
      ['text=w%C3%BCrzburg', [note]],
      ['text=PAY%2060,000', [pay]],
      ['text=%25', []],
      [`expiringBefore=${new Date(Date.now() + 90 * 60_000).toISOString()}`, [look]],
      ['expiringBefore=0001-01-01T00:00:00Z', []],
      ['status=denied', []],
    ];
    for (const [query, expected] of found)
      assert.deepEqual(ids(await inbox(desk, 'norman', query)), ids(expected), query);
    assert.deepEqual(ids(await inbox(desk, 'carla', 'mine=true')), ids([pay, later, note]));
    assert.deepEqual(await inbox(desk, 'drone', 'mine=true'), []);
    assert.deepEqual(codes(await desk.as['carla']!('GET', '/v1/approvals?teir=none')), [
      422,
      'REQUEST_INVALID',
    ]);
  });

  it('pages without a gap or a double, also while more arrives above', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    let fresh: Parked | null = null;
    do {
      const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await desk.as['norman']!('GET', `/v1/approvals?status=open&limit=1${at}`);
      seen.push(...ids(body.data));
      fresh ??= await park(desk, 'bank.pay', { vendor: 'Fresh' });
      cursor = body.nextCursor;
    } while (cursor !== null);
    assert.deepEqual(seen, [pay.id, later.id, fresh.id, note.id, look.id]);
    const first = await desk.as['norman']!('GET', '/v1/approvals?limit=1');
    const crossed = `/v1/approvals?limit=1&order=age&cursor=${encodeURIComponent(first.body.nextCursor)}`;
    assert.deepEqual(codes(await desk.as['norman']!('GET', crossed)), [422, 'REQUEST_INVALID']);
    await desk.as['admin']!('POST', `/v1/runs/${fresh.run}/cancel`, { reason: 'only for this' });
  });

  it('keeps each person their own views', async () => {
    const carla = desk.as['carla']!;
    const path = '/v1/approvals/views/money%20first';
    const saved = await carla('PUT', path, { tool: 'bank.pay', status: 'open', order: 'age' });
    assert.deepEqual(
      [saved.status, saved.body.name, saved.body.query.tool],
      [200, 'money first', 'bank.pay'],
    );
    assert.deepEqual(ids((await carla('GET', saved.body.href)).body.data), ids([pay, later]));
    const narrowed = await carla('GET', `${saved.body.href}&environment=staging`);
    assert.deepEqual(ids(narrowed.body.data), [later.id]);
    assert.deepEqual(
      (await carla('GET', '/v1/approvals/views')).body.data.map((one: { name: string }) => one.name),
      ['money first'],
    );
    for (const other of [path, saved.body.href])
      assert.deepEqual(codes(await desk.as['carol']!('GET', other)), [404, 'NOT_FOUND']);
    assert.deepEqual(codes(await carla('PUT', path, { tol: 'x' })), [422, 'REQUEST_INVALID']);
    assert.equal((await carla('DELETE', path)).status, 204);
    assert.deepEqual(codes(await carla('GET', path)), [404, 'NOT_FOUND']);
  });

  it('says in the words of the policy what is asked and what follows, and in plain ones where those have a gap', async () => {
    const { body } = await desk.as['carla']!('GET', `/v1/approvals/${pay.id}`);
    assert.equal(body.summary, 'pay 60,000 to ACME');
    assert.equal(body.consequence, 'pays 60,000 to ACME; cannot be undone');
    assert.deepEqual(body.arguments, { vendor: 'ACME', amount: 60_000 });
    assert.deepEqual(
      body.because.map((one: { source: string }) => one.source),
      ['tool', 'tier'],
    );
    assert.match(body.onExpiry, new RegExp(`^at ${body.expiresAt} it also goes to \`clerk\``));
    const gap = (await desk.as['carla']!('GET', `/v1/approvals/${later.id}`)).body;
    assert.equal(gap.summary, 'robot asks for Pay (bank.pay) with vendor "Bolt"');
    assert.match(gap.consequence, /`bank.pay` runs once, with exactly these arguments; it cannot be undone/);
    const plain = (await desk.as['clark']!('GET', `/v1/approvals/${look.id}`)).body;
    assert.match(plain.onExpiry, /it expires: nothing runs/);
  });

  it('does not let an argument dress up its sentence', async () => {
    const odd = await park(desk, 'bank.pay', { vendor: 'AC\u202eME\u0007\n', amount: 20_260.5 });
    const { body } = await desk.as['carla']!('GET', `/v1/approvals/${odd.id}`);
    assert.equal(body.summary, 'pay 20,260.5 to AC\\u{202e}ME\\u{7}\\u{a}');
    assert.equal(body.arguments.vendor, 'AC\u202eME\u0007\n');
    await desk.as['admin']!('POST', `/v1/runs/${odd.run}/cancel`, { reason: 'odd' });
  });

  it('records once who of those that may decide has read it', async () => {
    const parked = await park(desk, 'note.write', { text: 'read me' });
    for (const as of ['robot', 'norman', 'clark', 'clark', 'carla', 'clark'])
      assert.equal((await desk.as[as]!('GET', `/v1/approvals/${parked.id}`)).status, 200);
    const viewed = await records(desk, parked.run, 'approval.viewed');
    assert.deepEqual(
      viewed.map((one) => [one.actor.id, one.chain, one.approval]),
      [
        ['clark', 'service', parked.id],
        ['carla', 'service', parked.id],
      ],
    );
  });

  it('tells who lost to whom, and when', async () => {
    const parked = await park(desk, 'note.write', { text: 'race' });
    await decide(desk, 'clark', parked, 'deny', 'no');
    const lost = await decide(desk, 'carla', parked, 'approve');
    assert.deepEqual(codes(lost), [409, 'ALREADY_DECIDED']);
    assert.deepEqual([lost.body.decidedBy, lost.body.decision], [{ id: 'clark', kind: 'human' }, 'deny']);
    assert.match(lost.body.decidedAt, /^20.*Z$/);
    const one = await desk.as['carla']!('GET', `/v1/approvals/${parked.id}`);
    assert.equal(one.body.onExpiry, 'nothing more: it is denied');
  });

  it('tells of approvals as they come, to those who may see them', async () => {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]);
    const types = 'human.approval.requested,approval.claimed,approval.decided';
    const listen = (as: string) =>
      fetch(`${desk.stack.url}/v1/events?type=${types}`, {
        signal,
        headers: { authorization: `Bearer ${desk.keys[as]}` },
      });
    const [clerk, stranger] = await Promise.all([listen('clark'), listen('drone')]);
    await stranger.body?.cancel();
    const paid = await park(desk, 'bank.pay', { vendor: 'not for clerks' });
    const parked = await park(desk, 'note.write', { text: 'live' });
    await desk.as['clark']!('POST', `/v1/approvals/${parked.id}/claim`, {});
    await decide(desk, 'clark', parked, 'approve');
    let text = '';
    for await (const chunk of clerk.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes('event: approval.decided')) break;
    }
    stop.abort();
    const events = [...text.matchAll(/^data: (.*)$/gm)].map((found) => JSON.parse(found[1] ?? ''));
    assert.deepEqual(
      events.map((one) => one.type),
      types.split(','),
    );
    assert.ok(events.every((one) => one.approval === parked.id));
    assert.ok(!text.includes(paid.run));
  });

  it('shows what has no tier among the worst', async () => {
    const run = await startRun(desk, 'form');
    const { body } = await desk.as['robot']!('POST', `/v1/runs/${run}/transitions/sign`, {});
    const { id } = body.result.approval;
    const listed = ids(await inbox(desk, 'clark', 'mine=true'));
    assert.deepEqual(ids(await inbox(desk, 'clark', 'tier=none')), [id]);
    assert.ok(listed.indexOf(id) < listed.indexOf(note.id));
  });

  it('leaves out of `mine` what its reader has asked for itself, whatever role it has', async () => {
    const run = (await desk.as['casey']!('POST', '/v1/flows/desk/runs', {})).body.run.id as string;
    const own = await ask(desk, run, 'bank.pay', { vendor: 'Casey' }, 'casey');
    assert.ok(ids(await inbox(desk, 'carla', 'mine=true')).includes(own.id));
    assert.ok(ids(await inbox(desk, 'casey', 'status=open')).includes(own.id));
    const mine = ids(await inbox(desk, 'casey', 'mine=true'));
    assert.ok(mine.includes(pay.id) && !mine.includes(own.id));
  });
});
