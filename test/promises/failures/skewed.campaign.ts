import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startRun, submit } from '../../../testing/flows.js';
import { startStack, type Answer, type Stack } from '../../../testing/servers/stack.js';

// API and worker on a host whose clock is wrong. What a person is told of a time is what the store goes by.

const hour = 3_600_000;
const policies = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    initialState: a
    states:
      a:
        transitions:
          ask: { target: a, tier: reversible, executor: { kind: noop }, gate: { roles: [finance.controller], timeout: { after: 1h } } }
`,
};

/** A process in which it is so much later than it is. */
function skewed(ms: number): string {
  const script = `const Real = Date; globalThis.Date = class extends Real {
    constructor(...given) { if (given.length === 0) super(Real.now() + ${ms}); else super(...given); }
    static now() { return Real.now() + ${ms}; }
  };`;
  return `--import data:text/javascript,${encodeURIComponent(script)}`;
}

for (const [name, ms] of [
  ['ahead', 2 * hour],
  ['behind', -2 * hour],
] as const)
  describe(`with a clock that is two hours ${name}`, () => {
    let stack: Stack;
    let approval: string;
    const as = (who: string, method: string, path: string, body?: object): Promise<Answer> =>
      stack.fetchAs(who, method, path, body);
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
    const isAbout = (time: string, wanted: number): void =>
      assert.ok(Math.abs(Date.parse(time) - wanted) < 120_000, time);

    before(async () => {
      // It comes up only if it says that a worker polls.
      stack = await startStack({ policies, env: { NODE_OPTIONS: skewed(ms) } });
      const { run } = await startRun(stack, 'agent', 'f', {});
      const asked = await submit(stack, 'agent', run.id, 'ask');
      assert.equal(asked.body.result?.status, 'pending', JSON.stringify(asked.body));
      approval = asked.body.approvals[0].id;
    });
    after(() => stack.stop());

    it('a key is good until it is over, and cannot be made for a time that is', async () => {
      const make = (expiresAt: string) =>
        as('admin', 'POST', '/v1/keys', { id: 'k', kind: 'agent', expiresAt });
      assert.equal((await make(at(-hour))).status, 422);
      const made = await make(at(hour));
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const headers = { authorization: `Bearer ${made.body.key}` };
      assert.equal((await stack.fetchAs(null, 'GET', '/v1/whoami', undefined, headers)).status, 200);
    });

    it('a link is good for the time that its person was told', async () => {
      const made = await as('finance', 'POST', `/v1/approvals/${approval}/links`, { minutes: 15 });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      isAbout(made.body.expiresAt, Date.now() + 15 * 60_000);
      assert.equal((await stack.fetchAs(null, 'GET', made.body.path)).status, 200);
      const listed = await as('finance', 'GET', `/v1/approvals/${approval}/links`);
      assert.equal(listed.body.data[0].status, 'open');
    });

    it('a claim is seen by others while it lasts', async () => {
      const claimed = await as('finance', 'POST', `/v1/approvals/${approval}/claim`, {});
      assert.equal(claimed.body.claims.length, 1);
      isAbout(claimed.body.claims[0].until, Date.now() + 15 * 60_000);
      const inbox = await as('finance', 'GET', '/v1/approvals?claimed=true');
      assert.deepEqual(
        inbox.body.data.map((one: { id: string }) => one.id),
        [approval],
      );
    });

    it('somebody is away until the time that was said, and not for one that is over', async () => {
      const away = (from: number, until: number) =>
        as('manager', 'PUT', '/v1/absences', { from: at(from), until: at(until), delegate: 'finance' });
      assert.equal((await away(-2 * hour, -hour)).status, 422);
      assert.equal((await away(-hour, hour)).status, 200);
    });

    it('numbers of a time hold what happened in it, and records are dated by it', async () => {
      const stats = await as('admin', 'GET', '/v1/approvals/stats');
      isAbout(stats.body.to, Date.now());
      const records = await as('auditor', 'GET', '/v1/audit?limit=200');
      for (const { time } of records.body.data) isAbout(time, Date.now());
    });
  });
