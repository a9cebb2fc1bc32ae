import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { StepInput } from '../../src/activities/types.js';
import { bellOf } from '../../src/auth/index.js';
import { jsonValue } from '../../src/client/replay/attest.js';
import type { SealedMessage } from '../../src/model/message.js';
import type { RunDocument } from '../../src/store/runs/document.js';
import { startApi, type Answer, type Harness } from '../api/harness.js';
import { runKernel } from '../../testing/kernel.js';
import { makeAsking } from './support/asking.js';
import { failClosed } from './support/cells.js';
import {
  bell,
  countRecords,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from './support/governed.js';
import { runPolicies } from './support/run-policies.js';

// What our own code cannot take, and what a run has no room for: refused, on record, and nobody waits for ever.

describe('a step that cannot be taken', () => {
  let governed: Governed;
  before(async () => {
    governed = await makeGoverned(runPolicies('http://127.0.0.1:1'));
  });
  after(() => governed.stop());

  const ask = (run: Handle): Promise<SealedMessage> =>
    run.ask(starter, { kind: 'submit', transition: 'nowhere', expectedVersion: null }, [
      jsonValue('args', {}),
    ]);
  const codeOf = async (run: Handle, sent: SealedMessage): Promise<unknown> => {
    const answer = await run.answerTo(sent);
    return answer?.status === 'refused' ? answer.code : answer?.status;
  };
  /** The product's kernel over a run, in whose steps a message of that id fails in our own code. */
  const keep = async (spoilt: (run: Handle) => Promise<readonly SealedMessage[]>) => {
    const start = await governed.recordStart('calls');
    const run = governed.handle(start.run);
    const bad = new Set<string>();
    const fails = ({ arrivals, gaveUp }: StepInput): boolean =>
      gaveUp === null && arrivals.some((each) => each.kind === 'message' && bad.has(each.bell.id));
    const kernel = runKernel(
      governed.deps,
      run.id,
      { kernel: 2, start: bellOf(start), carried: null },
      {
        step: (input, go) => (fails(input) ? Promise.reject(new Error('a bug of ours')) : go()),
      },
    );
    await kernel.settled();
    for (const each of await spoilt(run)) bad.add(each.id);
    return { run, kernel };
  };

  failClosed('step.failure', {
    error: async () => {
      let bad: SealedMessage | undefined;
      const { run, kernel } = await keep(async (each) => [(bad = await ask(each))]);
      const good = [await ask(run), await ask(run)];
      const [first, last] = good;
      assert.ok(bad !== undefined && first !== undefined && last !== undefined);
      for (const each of [first, bad, last]) kernel.onSignal('submit', bellOf(each));
      await kernel.settled();
      assert.equal(await codeOf(run, first), 'UNKNOWN_TRANSITION', 'what came beside it is taken');
      assert.equal(await codeOf(run, bad), 'RUN_STUCK');
      assert.equal(await codeOf(run, last), 'RUN_STUCK');
      const { status, problem } = await run.row();
      assert.deepEqual([status, problem?.code], ['stuck', 'STEP_FAILED']);
      assert.match(String(problem?.message), /a bug of ours/);
      assert.equal(await countRecords(run, 'run.stuck'), 1);
    },
    malformed: async () => {
      const run = await governed.start('calls');
      const sent = await ask(run);
      const records = await run.records();
      await governed.database.asSuperuser(`update run set doc = '{"half":' where id = $1`, [run.id]);
      await assert.rejects(run.tryTo(bell(sent)));
      assert.deepEqual(await run.records(), records);
      assert.equal(await run.answerTo(sent), null);
    },
  });
});

describe('a first step that cannot be taken', () => {
  let governed: Governed;
  before(async () => {
    governed = await makeGoverned(runPolicies('http://127.0.0.1:1'));
  });
  after(() => governed.stop());

  it('leaves the run stuck before it has begun; a retry begins it', async () => {
    const start = await governed.recordStart('needs', { amount: 7 });
    const run = governed.handle(start.run);
    let isMended = false;
    const kernel = runKernel(
      governed.deps,
      run.id,
      { kernel: 2, start: bellOf(start), carried: null },
      {
        step: (input, go) =>
          isMended || input.gaveUp !== null ? go() : Promise.reject(new Error('a bug of ours')),
      },
    );
    await kernel.settled();
    const { status, problem } = await run.row();
    assert.deepEqual([status, problem?.code], ['stuck', 'STEP_FAILED']);
    assert.equal(await countRecords(run, 'run.started'), 0);
    isMended = true;
    const retry = await run.ask(operator, { kind: 'retry' });
    kernel.onSignal('retry', bellOf(retry));
    await kernel.settled();
    assert.equal((await run.answerTo(retry))?.status, 'accepted');
    const { status: now, doc } = await run.row();
    assert.equal(now, 'running', 'its required input is there');
    assert.equal(await countRecords(run, 'run.started'), 1);
    assert.deepEqual((JSON.parse(doc ?? '{}') as RunDocument).context, { seen: 7 });
  });
});

describe('what a run has no room for', () => {
  let harness: Harness;
  before(async () => {
    harness = await startApi();
  });
  after(() => harness.stop());
  const asking = makeAsking(() => harness);
  const submit = (run: string, args: object): Promise<Answer> =>
    harness.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay?wait=0`, { arguments: args });
  const messages = async (run: string): Promise<number> => {
    const { rows } = await harness.database.pool.query('select id from message where run = $1', [run]);
    return rows.length;
  };
  /** While no worker takes anything, so that all of it waits. */
  const whileIdle = async (act: (run: string) => Promise<void>): Promise<void> => {
    const run = await asking.started();
    harness.kernel.idle = true;
    try {
      await act(run);
    } finally {
      harness.kernel.idle = false;
      await harness.kernel.settled();
    }
  };
  const refusesMore = async (run: string, args: object, answer: readonly [number, string]): Promise<void> => {
    const before = await messages(run);
    await asking.refuses(() => submit(run, args), answer, 'request.refused');
    assert.equal(await messages(run), before, 'nothing of it is stored');
  };

  failClosed('run.room', {
    error: async () => {
      await whileIdle(async (run) => {
        for (let n = 0; n < 50; n += 1) assert.equal((await submit(run, { amount: n })).status, 202);
        await refusesMore(run, { amount: 51 }, [429, 'RATE_LIMITED']);
      });
      await whileIdle(async (run) => {
        const large = { text: 'x'.repeat(900_000) };
        for (let n = 0; n < 4; n += 1) assert.equal((await submit(run, large)).status, 202);
        await refusesMore(run, large, [422, 'RUN_FULL']);
        assert.equal((await submit(run, { amount: 1 })).status, 202, 'what fits is taken');
      });
    },
    malformed: () =>
      whileIdle(async (run) => {
        // Half a megabyte as text, and fewer values than a request may have.
        const large = `{"text":"${'x'.repeat(300_000)}","numbers":[${'1e15,'.repeat(49_900)}1]}`;
        const before = await messages(run);
        const path = `/v1/runs/${run}/transitions/bank.pay`;
        const ask = (): Promise<Answer> => harness.ask('agent', 'POST', path, `{"arguments":${large}}`);
        const { body } = await asking.refuses(ask, [413, 'TOO_LARGE'], 'request.refused');
        assert.match((body as { detail: string }).detail, /take \d+ bytes as canonical JSON/);
        assert.equal(await messages(run), before);
      }),
  });
});
