import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isFull } from '../../testing/samples.js';
import { codes, decide, openDesk, park, startRun, type Desk } from './support.js';

describe('measures of approvals', () => {
  let desk: Desk;
  before(async () => {
    desk = await openDesk();
    const read = await park(desk, 'note.write', { text: 'read' });
    await desk.as['clark']!('GET', `/v1/approvals/${read.id}`);
    await decide(desk, 'clark', read, 'approve');
    await decide(desk, 'carla', await park(desk, 'note.write', { text: 'unread' }), 'deny');
    const gone = await park(desk, 'soon.gone');
    assert.equal((await desk.as['robot']!('GET', `${gone.poll}?wait=25s`)).body.status, 'expired');
    await park(desk, 'book.look');
    await park(desk, 'bank.pay', { vendor: 'ACME' }, 'branch');
  });
  after(() => desk.stop());
  const stats = async (as: string, query = ''): Promise<any> => {
    const { status, body } = await desk.as[as]!('GET', `/v1/approvals/stats${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };

  it('tells times, rates and shares, in all and by flow and role', async () => {
    const { total, byFlow, byRole, open } = await stats('norman');
    assert.deepEqual(
      [total.opened, total.approved, total.denied, total.expired, total.revoked, total.escalated],
      [5, 1, 1, 1, 0, 0],
    );
    assert.equal(total.breachRate, 0.3333);
    assert.equal(total.escalationRate, 0);
    assert.deepEqual([total.firstViewSeconds.count, total.decisionSeconds.count], [1, 2]);
    assert.ok(total.firstViewSeconds.p50 >= 0 && total.decisionSeconds.p99 >= total.decisionSeconds.p50);
    assert.deepEqual([total.decidedByHumans, total.decidedUnread], [2, 0.5]);
    assert.equal(typeof total.underFiveSeconds, 'number');
    const opened = (list: any[], key: string): [string, number][] =>
      list.map((one) => [one[key], one.opened]);
    assert.deepEqual(opened(byFlow, 'flow'), [
      ['branch', 1],
      ['desk', 4],
    ]);
    // One of two roles counts under both.
    assert.deepEqual(opened(byRole, 'role'), [
      ['clerk', 4],
      ['controller', 3],
    ]);
    assert.deepEqual(open.find((one: { age: string }) => one.age === 'under_1h').count, 2);
  });

  it('tells each person of what they may see, within what they ask for', async () => {
    assert.equal((await stats('clark')).total.opened, 4);
    assert.equal((await stats('norman', '?flow=branch')).total.opened, 1);
    assert.equal((await stats('norman', '?role=clerk')).total.opened, 4);
    const before = await stats('norman', '?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z');
    assert.deepEqual([before.total.opened, before.total.breachRate], [0, null]);
    const turned = await desk.as['norman']!(
      'GET',
      '/v1/approvals/stats?to=2020-01-01T00:00:00Z&from=2021-01-01T00:00:00Z',
    );
    assert.deepEqual(codes(turned), [422, 'REQUEST_INVALID']);
  });

  it('gives a scrape what the store says, the same after a restart', async () => {
    const scrape = async (): Promise<string[]> => {
      const { body } = await desk.as['norman']!('GET', '/metrics');
      return (body as string)
        .split('\n')
        .filter((line) => /^countersign_approval.*\{/.test(line))
        .sort();
    };
    const told = await scrape();
    for (const line of [
      'countersign_approvals_open{environment="dev",age="under_1h"} 1',
      'countersign_approvals_open{environment="staging",age="under_1h"} 1',
      'countersign_approvals_day{flow="desk",role="clerk",measure="opened"} 4',
      'countersign_approvals_day{flow="desk",role="clerk",measure="expired"} 1',
      'countersign_approvals_day{flow="desk",role="controller",measure="denied"} 1',
    ])
      assert.ok(told.includes(line), `${line}\n${told.join('\n')}`);
    const times = (name: string) =>
      told.filter((line) => line.startsWith(`countersign_approval_${name}_seconds{`));
    assert.ok(times('first_view').some((line) => line.includes('flow="desk",role="clerk",quantile="0.5"')));
    assert.ok(times('decision').some((line) => line.includes('quantile="0.99"')));
    if (isFull) {
      await desk.stack.api.restart();
      assert.deepEqual(await scrape(), told);
    }
    await startRun(desk);
  });
});
