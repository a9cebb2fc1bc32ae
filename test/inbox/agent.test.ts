import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { until } from '../../testing/flows.js';
import { joinDesk } from './joint-desk.js';
import { ask, codes, decide, park, startRun, type Desk } from './support.js';

const joint = joinDesk();

describe('an agent that waits', () => {
  let desk: Desk;
  before(async () => {
    desk = await joint();
  });
  const poll = (path: string, as = 'robot', headers = {}) => desk.as[as]!('GET', path, undefined, headers);

  it('is told where to poll and when, and reads pending', async () => {
    const parked = await park(desk, 'note.write', { text: 'a' });
    assert.equal(parked.headers.get('location'), parked.poll);
    assert.match(parked.headers.get('retry-after') ?? '', /^\d+$/);
    const { body, headers } = await poll(`${parked.poll}?wait=0.2s`);
    assert.deepEqual([body.status, body.approval, body.decisions], ['pending', parked.id, []]);
    assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  });

  // Without being woken it would be told after 25 seconds.
  it('is woken by the decision, and reads the output', { timeout: 20_000 }, async () => {
    const parked = await park(desk, 'note.write', { text: 'b' });
    const waiting = poll(`${parked.poll}?wait=25s`);
    const reading = poll(`/v1/approvals/${parked.id}`, 'clark', { prefer: 'respond-async, wait=600' });
    assert.equal((await decide(desk, 'clark', parked, 'approve', 'looks right')).status, 200);
    const { body, headers } = await waiting;
    assert.deepEqual([body.status, body.output], ['executed', { written: true }]);
    assert.equal(headers.get('retry-after'), null);
    const [{ by, decision, reason }] = body.decisions;
    assert.deepEqual([by, decision, reason], [{ id: 'clark', kind: 'human' }, 'approve', 'looks right']);
    const read = await reading;
    assert.equal(read.headers.get('preference-applied'), 'wait=25');
    assert.ok(['approved', 'consumed'].includes(read.body.status), read.body.status);
  });

  it('reads denied with what the approver wrote, and may not wait for longer than 25 seconds', async () => {
    const parked = await park(desk, 'note.write', { text: 'c' });
    await decide(desk, 'clark', parked, 'deny', 'the invoice is from last year');
    const { body } = await poll(`${parked.poll}?wait=25`);
    assert.deepEqual([body.status, body.reason], ['denied', 'the invoice is from last year']);
    assert.deepEqual(codes(await poll(`${parked.poll}?wait=26`)), [422, 'REQUEST_INVALID']);
    assert.deepEqual(codes(await poll(`${parked.poll}?wait=25s`, 'clark')), [200, undefined]);
    assert.deepEqual(codes(await poll(`/v1/actions/${parked.id}?wait=25s`)), [404, 'NOT_FOUND']);
  });

  it(
    'reads expired, revoked, executing, and failed with the class of the failure',
    { timeout: 60_000 },
    async () => {
      const gone = await park(desk, 'soon.gone');
      const expired = (await poll(`${gone.poll}?wait=25s`)).body;
      assert.deepEqual([expired.status, expired.decisions], ['expired', []]);
      assert.match(expired.reason, /^it was not decided by 20/);

      const left = await park(desk, 'note.write', { text: 'd' });
      const waiting = poll(`${left.poll}?wait=25s`);
      await desk.as['admin']!('POST', `/v1/runs/${left.run}/cancel`, { reason: 'not needed' });
      assert.equal((await waiting).body.status, 'revoked');

      const dead = await park(desk, 'dead.call');
      await decide(desk, 'clark', dead, 'approve');
      const failed = (await poll(`${dead.poll}?wait=25s`)).body;
      assert.deepEqual([failed.status, failed.error.errorClass], ['failed', 'connection']);

      const slow = await park(desk, 'slow.call');
      await decide(desk, 'clark', slow, 'approve');
      await until('its call is under way', async () => (await poll(slow.poll)).body.callUnderWay === true);
      assert.equal((await poll(`${slow.poll}?wait=25s`)).body.status, 'executed');
    },
  );

  it('attaches to the approval that it has open for exactly this; another agent has one of its own', async () => {
    const run = await startRun(desk);
    const first = await ask(desk, run, 'note.write', { text: 'same' });
    const again = await ask(desk, run, 'note.write', { text: 'same' });
    const other = await ask(desk, run, 'note.write', { text: 'same' }, 'drone');
    assert.deepEqual([again.id, again.poll], [first.id, first.poll]);
    assert.notEqual(other.id, first.id);
    assert.notEqual(other.digest, first.digest);
    const different = await ask(desk, run, 'note.write', { text: 'other' });
    assert.notEqual(different.id, first.id);
    const { body } = await desk.as['clark']!('GET', `/v1/approvals/${first.id}`);
    assert.deepEqual(body.requesters, ['robot']);
    await decide(desk, 'clark', first, 'approve');
    assert.equal((await poll(`${first.poll}?wait=25s`)).body.status, 'executed');
    // What the other asked for is done: its `n` is no longer true, and it says so.
    const superseded = (await poll(`${other.poll}?wait=25s`, 'drone')).body;
    assert.equal(superseded.status, 'revoked');
    assert.match(
      superseded.reason,
      /^superseded: `note.write` with these arguments was done as `robot` asked/,
    );
    assert.equal((await poll(different.poll)).body.status, 'pending');
  });
});
