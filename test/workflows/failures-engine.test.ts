import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ActivityDeps } from '../../src/activities/deps.js';
import type { Plan } from '../../src/engine/plan.js';
import type { PolicySet } from '../../src/model/policy-set.js';
import type { RunRow } from '../../src/store/runs/runs.js';
import { until } from '../../testing/until.js';
import { agent, makeGround, operator, type Ground, type KeptRun } from './kept-run.js';

// The failure table of docs/reliability.md: the rows in which the engine fails, on a real Postgres and real time.

function fails(): never {
  throw new TypeError('a bug of ours');
}

/** Who decides in a queue cannot be told. */
function withoutQueues(set: PolicySet): PolicySet {
  return { ...set, queues: new Proxy(set.queues, { get: fails }) };
}

/** Where the run goes when its time is up cannot be told. */
function withoutTimeout(plan: Plan): Plan {
  return {
    ...plan,
    get onTimeout() {
      return fails();
    },
  };
}

describe('where the engine fails', () => {
  let ground: Ground;
  let isBroken = false;
  before(async () => {
    ground = await makeGround();
  });
  after(() => ground.stop());

  const hands = (): ActivityDeps => ({
    ...ground.deps,
    plan: async (q, hash) => {
      const plan = await ground.deps.plan(q, hash);
      return isBroken && plan !== null ? withoutTimeout(plan) : plan;
    },
    policySet: async (q) => {
      const set = await ground.deps.policySet(q);
      return isBroken ? withoutQueues(set) : set;
    },
  });
  const settled = (run: KeptRun, what: string, is: (row: RunRow) => boolean): Promise<true> =>
    until(what, async () => ((await run.row().then(is)) ? true : null), 30_000);
  const answered = (run: KeptRun, bell: { readonly id: string }) =>
    until(`an answer of ${bell.id}`, () => run.answerOf(bell), 30_000);
  const begun = async (flow: string): Promise<KeptRun> => {
    isBroken = false;
    const run = await ground.start(hands(), flow);
    await settled(run, 'its first step', ({ rev }) => rev > 0);
    return run;
  };
  const count = async (run: KeptRun, type: string): Promise<number> =>
    (await run.records()).filter((recorded) => recorded === type).length;
  const retry = async (run: KeptRun): Promise<string> => {
    const bell = await run.ask(operator, { operate: 'retry' });
    run.ring(bell);
    const answer = await answered(run, bell);
    return answer.status === 'refused' ? answer.code : answer.status;
  };

  const moments = [
    {
      ...{ what: 'the time of an approval', flow: 'gated', record: 'approval.expired' },
      isOver: ({ status }: RunRow) => status === 'running',
      retried: { broken: 'accepted', stuck: 2, mended: 'accepted' },
    },
    {
      ...{ what: 'the time of a run', flow: 'timed', record: 'run.timed_out' },
      isOver: ({ status }: RunRow) => status === 'timed_out',
      // Time says nothing to a halted run: whoever has it go on finds its time up.
      retried: { broken: 'INTERNAL', stuck: 1, mended: 'accepted' },
    },
  ] as const;
  for (const { what, flow, record, isOver, retried } of moments)
    it(`over ${what} the run is stuck and says so, a retry is told, and it goes on once it is mended`, async () => {
      const run = await begun(flow);
      if (flow === 'gated') {
        const gated = await run.ask(agent, { submit: 'ask' });
        run.ring(gated);
        assert.equal((await answered(run, gated)).status, 'pending');
      }
      isBroken = true;
      await settled(run, 'it to be stuck', ({ status }) => status === 'stuck');
      const { problem, rev } = await run.row();
      assert.equal(problem?.code, 'STEP_FAILED');
      assert.match(problem.message, /a bug of ours/);
      assert.deepEqual([await count(run, 'run.stuck'), await count(run, 'message.refused')], [1, 0]);
      await run.kernel.settled();
      assert.equal((await run.row()).rev, rev, 'no timer asks for it again');
      assert.equal(await retry(run), retried.broken);
      await settled(run, 'it to be stuck still', ({ status, rev: now }) => status === 'stuck' && now > rev);
      await until(
        'each time on record',
        async () => ((await count(run, 'run.stuck')) === retried.stuck ? true : null),
        30_000,
      );
      await run.kernel.settled();
      assert.equal((await run.row()).status, 'stuck');
      isBroken = false;
      assert.equal(await retry(run), retried.mended);
      await settled(run, 'it to go on', isOver);
      await until(record, async () => ((await count(run, record)) === 1 ? true : null), 30_000);
      await run.verify();
    });

  it('over what somebody asks it is refused, on record and counted, and the run goes on', async () => {
    const run = await begun('gated');
    isBroken = true;
    const noted = ground.internalErrors.length;
    const bell = await run.ask(agent, { submit: 'ask' });
    run.ring(bell);
    const answer = await answered(run, bell);
    assert.equal(answer.status === 'refused' ? answer.code : answer.status, 'INTERNAL');
    const { status, problem } = await run.row();
    assert.deepEqual([status, problem, await count(run, 'message.refused')], ['running', null, 1]);
    const [told, ...more] = ground.internalErrors.slice(noted);
    assert.match(told ?? '', /\(submit\).*a bug of ours/);
    assert.deepEqual(more, []);
    isBroken = false;
    const again = await run.ask(agent, { submit: 'ask' });
    run.ring(again);
    assert.equal((await answered(run, again)).status, 'pending');
    await run.verify();
  });
});
