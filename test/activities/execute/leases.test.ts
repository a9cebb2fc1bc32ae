import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { execute } from '../../../src/activities/execute/execute.js';
import type { Stepped } from '../../../src/activities/types.js';
import {
  aroundExecution,
  bell,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { until } from '../../../testing/until.js';
import { makeTarget, type Target } from './target.js';

// One attempt of an effect at a time, whoever has Temporal ask for it: a real Postgres, and a target that answers when it
// is told to.

const transition = (name: string, more: string): string =>
  `${name}: { target: a, tier: reversible, executor: { kind: rest, connection: main, method: POST, path: /${name}${more} } }`;
const policies = (url: string): Readonly<Record<string, string>> => ({
  'connections.yaml': `connections: { main: { kind: rest, baseUrl: '${url}', allowPrivate: true } }\n`,
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    timeout: 1h
    initialState: a
    states:
      a:
        transitions:
          ${transition('keyed', ', idempotencyKey: true')}
          ${transition('bare', '')}
          ${transition('again', ', idempotencyKey: true, reliability: { retry: { maxAttempts: 3, maxDelayMs: 60000 } }')}
      done: { terminal: true }
`,
});

let target: Target;
let governed: Governed;
before(async () => {
  target = await makeTarget();
  governed = await makeGoverned(policies(target.url));
  await hear('svc_one', 'always');
});
after(async () => {
  await governed.stop();
  await target.close();
});

const underWay = { type: 'ATTEMPT_UNDER_WAY', nonRetryable: false };
const keys = (): number => new Set(target.requests.map(({ headers }) => headers['idempotency-key'])).size;
const called = (times: number): Promise<unknown> =>
  until(`${times} calls`, () => (target.requests.length === times ? true : null), 10_000);
const executionOf = (
  run: Handle,
  owner: string,
  deps = governed.deps,
  process = 'svc_one',
): Promise<Stepped> => {
  const input = { run: run.id, action: run.state.executing?.action.id ?? '' };
  return execute(deps, input, aroundExecution(owner, process));
};
/** What the store hears of a worker process, from here on. */
const hear = (process: string, of: 'always' | 'no more'): Promise<unknown> =>
  governed.database.asSuperuser(
    `insert into worker_process (id, environments, unset, seen_at) values ('${process}', '{}', '[]', '${of === 'always' ? 'infinity' : '-infinity'}')
     on conflict (id) do update set seen_at = excluded.seen_at`,
  );
const endLeases = (): Promise<unknown> =>
  governed.database.asSuperuser(
    `update execution_attempt set lease_until = clock_timestamp() - interval '1 second' where lease_until is not null`,
  );

function promised(): { readonly comes: Promise<number>; readonly give: (status: number) => void } {
  let give = (_status: number): void => undefined;
  const comes = new Promise<number>((resolve) => (give = resolve));
  return { comes, give: (status) => give(status) };
}

async function asked(name = 'keyed'): Promise<Handle> {
  const run = await governed.start('f');
  await run.submit(starter, name);
  return run;
}

/** Its call was made, and its worker was lost before it could write what was answered. */
async function lost(name = 'keyed', process = 'svc_lost'): Promise<Handle> {
  const { deps } = governed;
  const put: typeof deps.payloads.put = (tx, of, role, ...given) =>
    role === 'output' ? Promise.reject(new Error('lost')) : deps.payloads.put(tx, of, role, ...given);
  target.say();
  const run = await asked(name);
  await assert.rejects(
    executionOf(run, 'first', { ...deps, payloads: { ...deps.payloads, put } }, process),
    /lost/,
  );
  return run;
}

describe('while an execution has its call under way', () => {
  it('another one makes none, and is told the outcome of the first once that is written', async () => {
    const answer = promised();
    target.say(answer.comes);
    const run = await asked();
    const first = executionOf(run, 'first');
    await called(1);
    for (const owner of ['second', 'third']) await assert.rejects(executionOf(run, owner), underWay);
    answer.give(200);
    const result = await first;
    assert.deepEqual(await executionOf(run, 'second'), result);
    assert.equal(target.requests.length, 1);
  });

  for (const name of ['keyed', 'bare'])
    it(`another try of its own makes none, where nothing was heard of a process that lives: ${name}`, async () => {
      const answer = promised();
      target.say(answer.comes);
      const run = await asked(name);
      const first = executionOf(run, 'first');
      await called(1);
      for (let again = 0; again < 2; again += 1) await assert.rejects(executionOf(run, 'first'), underWay);
      answer.give(200);
      const result = await first;
      assert.equal(result.runStatus, 'running');
      assert.deepEqual(await executionOf(run, 'first'), result);
      assert.equal(target.requests.length, 1);
    });

  it('is lost when it takes longer than it may: the next try of its own leaves the outcome to a person, and it is told', async () => {
    const answer = promised();
    target.say(answer.comes);
    const run = await asked('bare');
    let isLate = false;
    const told: string[] = [];
    const deps = { ...governed.deps, onInternalError: (what: string) => void told.push(what) };
    const input = { run: run.id, action: run.state.executing?.action.id ?? '' };
    const first = execute(deps, input, { ...aroundExecution('first'), isLate: () => isLate });
    await called(1);
    await assert.rejects(execute(deps, input, aroundExecution('first')), underWay);
    isLate = true;
    const result = await execute(deps, input, aroundExecution('first'));
    assert.equal(result.runStatus, 'stuck');
    assert.deepEqual([told.length, target.requests.length], [1, 1]);
    answer.give(200);
    assert.deepEqual(await first, result);
  });

  for (const name of ['keyed', 'bare'])
    it(`another try of its own in another process makes none while the store hears of the first, and is told its outcome: ${name}`, async () => {
      const answer = promised();
      target.say(answer.comes);
      const run = await asked(name);
      const first = executionOf(run, 'first');
      await called(1);
      const second = (): Promise<Stepped> => executionOf(run, 'first', governed.deps, 'svc_two');
      await assert.rejects(second(), underWay);
      assert.equal(run.state.status, 'running');
      answer.give(200);
      const result = await first;
      assert.deepEqual(await second(), result);
      assert.equal(target.requests.length, 1);
    });

  it('and nobody hears of its process any more, another makes it; what fails in the first then says nothing, and ends no lease', async () => {
    const [answer, again] = [promised(), promised()];
    target.say(answer.comes, again.comes);
    const run = await asked();
    await hear('svc_frozen', 'no more');
    const first = executionOf(run, 'first', governed.deps, 'svc_frozen');
    await called(1);
    const second = executionOf(run, 'first');
    await called(2);
    answer.give(404);
    await assert.rejects(first, { type: 'NOT_EXECUTING' });
    await assert.rejects(executionOf(run, 'another', governed.deps, 'svc_two'), underWay);
    again.give(200);
    assert.equal((await second).runStatus, 'running');
    assert.deepEqual([run.state.state, target.requests.length, keys()], ['a', 2, 1]);
  });

  it('and its run is told that it is lost, a retry waits while the store hears of its process', async () => {
    const answer = promised();
    target.say(answer.comes);
    const run = await asked('bare');
    const action = run.state.executing?.action.id ?? '';
    await hear('svc_frozen', 'no more');
    const first = executionOf(run, 'first', governed.deps, 'svc_frozen');
    await called(1);
    assert.equal((await executionOf(run, 'first')).runStatus, 'stuck');
    await hear('svc_frozen', 'always');
    await run.take({ kind: 'look' });
    await run.take(bell(await run.ask(operator, { kind: 'retry' })));
    assert.notEqual(run.state.executing?.action.id, action);
    await assert.rejects(executionOf(run, 'second'), underWay);
    answer.give(200);
    assert.equal((await first).runStatus, 'stuck');
    assert.equal((await executionOf(run, 'second')).runStatus, 'running');
    assert.equal(target.requests.length, 2);
  });

  it('and its run is given up, what is retried waits until the call is over, and then has the same key', async () => {
    const answer = promised();
    target.say(answer.comes);
    const run = await asked();
    const first = executionOf(run, 'first');
    await called(1);
    await run.tryStep({ gaveUp: 'a bug' });
    await run.take({ kind: 'look' });
    assert.equal(run.state.status, 'stuck');
    await run.take(bell(await run.ask(operator, { kind: 'retry' })));
    await assert.rejects(executionOf(run, 'second'), underWay);
    assert.equal(target.requests.length, 1);
    answer.give(200);
    await assert.rejects(first, { type: 'NOT_EXECUTING' });
    assert.equal((await executionOf(run, 'second')).runStatus, 'running');
    assert.deepEqual([target.requests.length, keys()], [2, 1]);
  });
});

describe('an attempt that was begun and not made in time', () => {
  it('is not made any more: the process stood still, and its lease would end before its call', async () => {
    for (const [name, status] of [
      ['keyed', 'running'],
      ['bare', 'stuck'],
    ] as const) {
      target.say(200);
      const run = await asked(name);
      const input = { run: run.id, action: run.state.executing?.action.id ?? '' };
      const around = { ...aroundExecution('first'), isLate: () => true };
      await assert.rejects(execute(governed.deps, input, around), {
        type: 'BEGUN_TOO_LATE',
        nonRetryable: false,
      });
      assert.equal(target.requests.length, 0);
      assert.equal((await executionOf(run, 'first')).runStatus, status);
    }
  });
});

describe('a try that Temporal makes before the next attempt is due', () => {
  it('makes none, and is told to come when it is', async () => {
    target.say({ status: 429, headers: { 'retry-after': '20' } }, 200);
    const run = await asked('again');
    await assert.rejects(executionOf(run, 'first'), { type: 'ATTEMPT_FAILED' });
    // Of what the first said nothing has come to Temporal: its worker was lost.
    const early = await executionOf(run, 'first').then(
      () => null,
      (error: unknown) => error as { readonly type: string; readonly nextRetryDelay: number },
    );
    assert.equal(early?.type, 'ATTEMPT_FAILED');
    assert.ok(early.nextRetryDelay > 1_000 && early.nextRetryDelay <= 20_000, String(early.nextRetryDelay));
    assert.equal(target.requests.length, 1);
    await governed.database.asSuperuser(
      'update execution_attempt set next_at = clock_timestamp() where next_at is not null',
    );
    assert.equal((await executionOf(run, 'first')).runStatus, 'running');
    assert.equal(target.requests.length, 2);
  });
});

describe('an attempt whose worker was lost', () => {
  it('is made again by another try of the same activity at once, under its key', async () => {
    const run = await lost();
    await executionOf(run, 'first');
    assert.deepEqual([target.requests.length, keys()], [2, 1]);
  });

  it('is made again by another activity only once its lease has ended, under its key', async () => {
    const run = await lost();
    await assert.rejects(executionOf(run, 'second'), underWay);
    assert.equal(target.requests.length, 1);
    await endLeases();
    await executionOf(run, 'second');
    assert.deepEqual([target.requests.length, keys()], [2, 1]);
  });

  it('is nobody’s to make again where that might do it twice: unknown, and not before its lease has ended', async () => {
    const run = await lost('bare');
    await assert.rejects(executionOf(run, 'second'), underWay);
    await endLeases();
    await executionOf(run, 'second');
    const { status, problem } = await run.row();
    assert.deepEqual([status, problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
    assert.equal(target.requests.length, 1);
  });

  it('is over with the activity that Temporal has given up, so that a retry waits for nobody', async () => {
    const run = await lost();
    const action = run.state.executing?.action.id ?? '';
    await run.take({ kind: 'abandoned', action, reason: 'its worker was lost' });
    assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
    await run.take(bell(await run.ask(operator, { kind: 'retry' })));
    await executionOf(run, 'second');
    assert.deepEqual([target.requests.length, keys()], [2, 1]);
  });
});
