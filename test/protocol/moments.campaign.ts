import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  decideOn,
  makePeople,
  park,
  type Parked,
  type People,
  type Person,
  type Reply,
} from '../../drill/caller.js';
import { startTarget, type Target } from '../../drill/target.js';
import { makeKit } from '../../src/activities/step/kit.js';
import { verifyChain } from '../../src/audit/index.js';
import { bellOf } from '../../src/auth/index.js';
import { jsonValue } from '../../src/client/replay/attest.js';
import { makePool, type Pool } from '../../src/db/index.js';
import { decide } from '../../src/engine/index.js';
import type { SealedMessage, SignedBody, SignedMessage } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { documentOf, stateWithoutValues } from '../../src/store/runs/document.js';
import { getPlan } from '../../src/store/flows/flows.js';
import { currentPolicySet } from '../../src/store/flows/policy.js';
import { getRun as getRunRow } from '../../src/store/runs/runs.js';
import { keepDecision, keepMessages, ring } from '../../testing/bells.js';
import { audit, getRun, startRun, until } from '../../testing/flows.js';
import { holdRun } from '../../testing/servers/locks.js';
import { projectRoot } from '../../testing/paths.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';

// The moments in which a decision could be lost. In each it is honoured, or refused with a reason, and it is recorded.

const agent: Principal = { id: 'agent', kind: 'agent', roles: [], permissions: ['run.start'] };
const payment = { vendor: 'ACME', amount: 60_000 };
const busyRuns = 8;

const flow = (name: string, seconds: number, target: string, count = 1): string => `
  ${name}:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          look: { target: open, tool: note.read }
          pay:
            target: ${target}
            tool: erp.payment.draft
            gate: { roles: [finance.controller], quorum: { count: ${count} }, timeout: { after: ${seconds}s, action: deny } }
      paid: { terminal: true }
`;

const drillFile = (path: string): string =>
  readFileSync(join(projectRoot, 'drill', 'policies', path), 'utf8');
const policies = {
  'roles.yaml': 'version: 1\nroles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': drillFile('connections.yaml'),
  'environments.yaml': drillFile('environments.yaml'),
  'tools/erp.yaml': drillFile('tools/erp.yaml'),
  'tools/note.yaml':
    'version: 1\ntools:\n  - { name: note.read, tier: read_only, executor: { kind: noop, output: { read: true } } }\n',
  'flows/moments.yaml': `version: 1\nworkflows:${flow('long', 86_400, 'paid')}${flow('brief', 2, 'paid')}${flow('short', 5, 'paid')}${flow('busy', 86_400, 'open', 2)}`,
};

/** What became of a decision in the end. */
interface Fate {
  readonly first: Reply;
  /** `applied`, or the code that it was refused with. */
  readonly word: string;
}

describe('a decision is honoured, or refused with a reason, and never lost', () => {
  let target: Target;
  let stack: Stack;
  let pool: Pool;
  let people: People;
  before(async () => {
    target = await startTarget();
    const dynamicConfig = ['limit.historyCount.suggestContinueAsNew=12'];
    // The worker binds the address that the connection stands for, and so does what this test foresees.
    process.env['ERP_URL'] = target.url;
    stack = await startStack({ own: true, dynamicConfig, env: { ERP_URL: target.url }, policies });
    pool = makePool({ url: stack.databaseUrl, applicationName: 'moments', max: 8 });
    people = await makePeople(stack);
  });
  after(async () => {
    await pool.end();
    await stack.stop();
    await target.close();
  });

  const keep = async (run: string, principal: Principal, body: SignedBody): Promise<SealedMessage> => {
    const values = body.kind === 'submit' ? [jsonValue('args', payment)] : [];
    const [message] = await keepMessages(stack, pool, run, [{ principal, body, values }]);
    assert.ok(message);
    // Rung for by the test alone, in an order of its own.
    await pool.query(`update message set next_at = 'infinity' where id = $1`, [message.id]);
    return message;
  };
  const ringFor = (message: SealedMessage): Promise<void> => ring(stack, message.run, bellOf(message), 'dev');
  const submission = { kind: 'submit', transition: 'pay', expectedVersion: null } as const;
  /** The approval that this submit opens, when the run takes it as its next message but so many. */
  const foresee = async (
    { id, run, text }: SealedMessage,
    after: number,
  ): Promise<{ readonly approval: string; readonly digest: string }> => {
    const row = await getRunRow(pool, run);
    const document = row === null ? null : documentOf(row);
    const plan = row === null ? null : await getPlan(pool, row.planHash);
    const set = await currentPolicySet(pool);
    assert.ok(row !== null && document !== null && plan !== null && set !== null);
    const kit = makeKit(set, row.environment, { author: null, promoter: null }, (asked) => asked);
    const { time, refs } = JSON.parse(text) as SignedMessage;
    const body = { ...submission, arguments: payment };
    const message = { v: 1, id, run, time, principal: agent, body, refs } as const;
    const key = `s${row.rev + 1}.${after}`;
    const decided = decide(plan, stateWithoutValues(document), { kind: 'message', time, message }, kit, key);
    const opened = decided.state.approvals.at(-1);
    assert.ok(opened, 'it opens a gate');
    return { approval: opened.id, digest: opened.action.digest };
  };
  const decisionOf = (
    { approval, digest }: { approval: string; digest: string },
    decision: 'approve' | 'deny',
  ) => ({ kind: 'decide', approval, digest, decision, reasonGiven: false, via: 'rest' }) as const;
  const asPrincipal = ({ id }: Person): Principal => ({
    ...{ id, kind: 'human', roles: ['finance.controller'], permissions: [] },
  });
  /** As whoever sent it is told to ask. */
  const keptReply = ({ id }: SealedMessage): Reply => ({
    ...{ status: 202, code: null, body: { decision: { href: `/v1/decisions/${id}` } } },
  });
  const fateOf = async (first: Reply): Promise<Fate> => {
    if (first.code !== null) return { first, word: first.code };
    if (first.status === 200) return { first, word: 'applied' };
    assert.equal(first.status, 202, JSON.stringify(first));
    const { href } = (first.body as { decision: { href: string } }).decision;
    const word = await until(`${href} to be settled`, async () => {
      const { body } = await stack.fetchAs('admin', 'GET', href);
      return body.status === 'accepted'
        ? null
        : body.status === 'applied'
          ? 'applied'
          : (body.code as string);
    });
    return { first, word };
  };
  const statusOf = async (approval: string): Promise<string> =>
    (await stack.fetchAs('admin', 'GET', `/v1/approvals/${approval}`)).body.status;
  /** The codes of the record's refused decisions about this run, whoever recorded them. */
  const refusals = async (run: string): Promise<unknown[]> =>
    (await audit(stack, run, 'approval.refused')).map(({ data }) => data['code']);
  const effects = (run: string): number => target.effects().filter((one) => one.run === run).length;
  const inHistory = (run: string, event: string): Promise<unknown> =>
    until(`${event} of ${run}`, async () => {
      const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
      return JSON.stringify(body).includes(`EVENT_TYPE_${event}`);
    });
  const timerFired = (run: string): Promise<unknown> => inHistory(run, 'TIMER_FIRED');

  /** The gate is settled as it says, its effect was or was not made, and the record is whole and agrees. */
  async function ends(run: string, approval: string, status: 'consumed' | 'denied' | 'expired' | 'revoked') {
    await until(`${approval} to be ${status}`, async () => (await statusOf(approval)) === status);
    assert.equal(effects(run), status === 'consumed' ? 1 : 0);
    const paid = (await audit(stack, run, 'executor.succeeded')).filter((one) => !isLook(one));
    assert.equal(paid.length, effects(run));
    assert.equal((await verifyChain(pool, run)).ok, true);
  }
  const isLook = (record: object): boolean => JSON.stringify(record).includes('note.read');

  it('before the gate opens, and with all workers down', async () => {
    const [a, b] = people.controllers;
    const starts = ['early', 'early', 'in order'].map(() => startRun(stack, 'agent', 'long', {}));
    const [guessed, early, orderly] = (await Promise.all(starts)).map((one) => one.run.id) as [
      string,
      string,
      string,
    ];
    const parkAll = (names: readonly string[]) =>
      Promise.all(names.map((name) => park(people.agent, name, 'pay')));
    const [approved, denied, both, twice] = (await parkAll(['long', 'long', 'long', 'long'])) as [
      Parked,
      Parked,
      Parked,
      Parked,
    ];
    const [inTime, tooLate] = (await parkAll(['short', 'brief'])) as [Parked, Parked];
    // The API answers before the workflow's task is complete: only then is the timer Temporal's.
    for (const { run } of [inTime, tooLate]) await inHistory(run, 'TIMER_STARTED');
    await stack.worker.kill('SIGKILL');

    // An id that nobody could know yet, over REST.
    const guess = await keep(guessed, agent, submission);
    const first = await foresee(guess, 0);
    const to = { ...approved, approval: first.approval, digest: first.digest };
    const noSuch = await decideOn(a, to, 'approve');
    assert.deepEqual([noSuch.status, noSuch.code], [404, 'NOT_FOUND']);
    await ringFor(guess);
    // Signed by the service itself, and in the run's history before what it is about.
    const late = await keep(early, agent, submission);
    const second = await foresee(late, 1);
    const decidedEarly = await keep(early, asPrincipal(a), decisionOf(second, 'approve'));
    await ringFor(decidedEarly);
    await ringFor(late);
    // The same two messages the other way round.
    const orderlySubmit = await keep(orderly, agent, submission);
    const third = await foresee(orderlySubmit, 0);
    await ringFor(orderlySubmit);
    await ringFor(await keep(orderly, asPrincipal(a), decisionOf(third, 'approve')));

    // Within the time that the API waits for a worker before it leaves the decision to Temporal.
    const lastSeconds = until('its last two seconds', () =>
      Promise.resolve(Date.now() > inTime.expiresAt - 2_000),
    );
    const replies = await Promise.all([
      decideOn(a, approved, 'approve'),
      decideOn(a, denied, 'deny'),
      decideOn(a, twice, 'approve').then(async (one) => [one, await decideOn(a, twice, 'approve')] as const),
      lastSeconds
        .then(() => decideOn(a, inTime, 'approve'))
        .then((one) => timerFired(inTime.run).then(() => one)),
      timerFired(tooLate.run).then(() => decideOn(a, tooLate, 'approve')),
      decideOn(a, both, 'approve'),
      decideOn(b, both, 'deny'),
    ]);
    await stack.worker.restart();

    const fates = await Promise.all(replies.flat().map(fateOf));
    assert.deepEqual(
      fates.slice(0, 6).map(({ word }) => word),
      ['applied', 'applied', 'applied', 'ALREADY_DECIDED', 'applied', 'APPROVAL_EXPIRED'],
    );
    const [approval, denial] = fates.slice(6);
    assert.deepEqual([approval?.word, denial?.word].sort(), ['ALREADY_DECIDED', 'applied']);
    for (const { first } of [...fates.slice(0, 3), ...fates.slice(6)]) assert.equal(first.status, 202);
    await Promise.all([
      ends(approved.run, approved.approval, 'consumed'),
      ends(denied.run, denied.approval, 'denied'),
      ends(both.run, both.approval, approval?.word === 'applied' ? 'consumed' : 'denied'),
      ends(twice.run, twice.approval, 'consumed'),
      ends(inTime.run, inTime.approval, 'consumed'),
      ends(tooLate.run, tooLate.approval, 'expired'),
      ends(orderly, third.approval, 'consumed'),
    ]);
    for (const one of [both, twice]) assert.deepEqual(await refusals(one.run), ['ALREADY_DECIDED']);
    assert.deepEqual(await refusals(tooLate.run), ['APPROVAL_EXPIRED']);
    assert.equal((await audit(stack, inTime.run, 'approval.expired')).length, 0);

    // What came too early opens nothing, stands in the record, and takes nobody's right to decide.
    await until('both gates to open', async () =>
      (await Promise.all([first, second].map(({ approval }) => statusOf(approval)))).every(
        (one) => one === 'open',
      ),
    );
    const [refused] = await audit(stack, early, 'approval.refused');
    assert.deepEqual(
      [refused?.data['code'], refused?.data['decisionId'], refused?.actor.id],
      ['NOT_FOUND', decidedEarly.id, a.id],
    );
    const called = await stack.fetchAs('auditor', 'GET', `/v1/audit?type=request.refused&limit=500`);
    assert.ok(
      called.body.data.some((one: any) => one.actor.id === a.id && one.data.code === 'NOT_FOUND'),
      'the request for what does not exist yet is recorded',
    );
    for (const [run, { approval, digest }] of [
      [guessed, first],
      [early, second],
    ] as const) {
      assert.equal(
        (await fateOf(await decideOn(a, { ...approved, approval, digest }, 'approve'))).word,
        'applied',
      );
      await ends(run, approval, 'consumed');
    }
  });

  describe('and with a worker up', { concurrency: true }, () => {
    it('in the instant of closing: whichever the run takes first', async () => {
      const [a] = people.controllers;
      const decisionFirst = async (): Promise<void> => {
        const { run, approval, ...parked } = await park(people.agent, 'short', 'pay');
        const decision = await keepDecision(stack, pool, asPrincipal(a), { run, approval, ...parked });
        const hold = await holdRun(stack.databaseUrl, run);
        await ringFor(decision);
        await until('the decision at the row', () => hold.someoneWaits());
        await until('its time to be up', () => Promise.resolve(Date.now() > parked.expiresAt));
        await hold.release();
        assert.equal((await fateOf(keptReply(decision))).word, 'applied');
        await ends(run, approval, 'consumed');
        assert.equal((await audit(stack, run, 'approval.expired')).length, 0);
      };
      const behind = async (
        name: 'brief' | 'long',
        closing: (run: string) => Promise<() => Promise<void>>,
        code: string,
        status: 'expired' | 'revoked',
      ): Promise<void> => {
        const parked = await park(people.agent, name, 'pay');
        const close = await closing(parked.run);
        const hold = await holdRun(stack.databaseUrl, parked.run);
        await close();
        await until('what closes it at the row', () => hold.someoneWaits());
        const decision = await keepDecision(stack, pool, asPrincipal(a), parked);
        await ringFor(decision);
        await hold.release();
        assert.equal((await fateOf(keptReply(decision))).word, code);
        await ends(parked.run, parked.approval, status);
        assert.deepEqual(await refusals(parked.run), [code]);
      };
      const operator: Principal = { id: 'admin', kind: 'human', roles: [], permissions: ['run.operate'] };
      const cancel = async (run: string) => {
        const message = await keep(run, operator, { kind: 'cancel' });
        return () => ringFor(message);
      };
      const byTime = () => Promise.resolve(() => Promise.resolve());
      await Promise.all([
        decisionFirst(),
        behind('brief', byTime, 'APPROVAL_EXPIRED', 'expired'),
        behind('long', cancel, 'APPROVAL_REVOKED', 'revoked'),
      ]);
    });

    it('while the run continues as new', async (t) => {
      const [a, b] = people.controllers;
      const continued = async (): Promise<number> => {
        const query = encodeURIComponent('ExecutionStatus="ContinuedAsNew" AND CountersignFlow="busy"');
        const path = `/api/v1/namespaces/countersign-dev/workflow-count?query=${query}`;
        const found = (await (await fetch(`${stack.temporalHttp}${path}`)).json()) as { count?: string };
        return Number(found.count ?? 0);
      };
      const look = async (run: string): Promise<Reply> => {
        const reply = await people.agent.post(`/v1/runs/${run}/transitions/look`, { arguments: {} });
        assert.ok([200, 202].includes(reply.status) || reply.code === 'RUN_BUSY', JSON.stringify(reply));
        return reply;
      };
      const one = async (index: number): Promise<void> => {
        const parked = await park(people.agent, 'busy', 'pay');
        const { run, approval } = parked;
        const last = index % 4 === 3 ? 'deny' : 'approve';
        for (const [by, decision] of [
          [a, 'approve'],
          [b, last],
        ] as const) {
          const looks = look(run)
            .then(() => look(run))
            .then(() => look(run));
          const decided =
            index % 2 === 0
              ? decideOn(by, parked, decision)
              : look(run).then(() => decideOn(by, parked, decision));
          assert.equal((await fateOf(await decided)).word, 'applied', `${run} ${decision}`);
          await looks;
        }
        await ends(run, approval, last === 'deny' ? 'denied' : 'consumed');
        assert.equal((await audit(stack, run, 'approval.decided')).length, 2);
        assert.equal((await getRun(stack, 'admin', run)).run.status === 'running', true);
      };
      await Promise.all(Array.from({ length: busyRuns }, (_, index) => one(index)));
      const count = await until('runs that continued as new', async () => {
        const found = await continued();
        return found >= busyRuns ? found : null;
      });
      t.diagnostic(`${busyRuns} runs, ${count} times continued as new`);
    });
  });
});
