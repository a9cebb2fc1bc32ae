import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { execute } from '../../../src/activities/execute/execute.js';
import {
  callSlots,
  countSlotWaits,
  mostCallsOfOne,
  mostCallsToOne,
} from '../../../src/activities/execute/call-slots.js';
import type { Stepped } from '../../../src/activities/types.js';
import type { Principal } from '../../../src/model/principal.js';
import { listAttempts } from '../../../src/store/runs/actions.js';
import {
  aroundExecution,
  makeGoverned,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { until } from '../../../testing/until.js';
import { makeTarget, type Target } from './target.js';

// Calls that hang take a part of a worker's slots, whoever asks for them and whatever they call.

const transition = (name: string, connection: string): string =>
  `${name}: { target: a, tier: reversible, executor: { kind: rest, connection: ${connection}, method: POST, path: /, idempotencyKey: true } }`;
const policies = (url: string): Readonly<Record<string, string>> => ({
  'connections.yaml': `
connections:
  main: { kind: rest, baseUrl: '${url}', allowPrivate: true }
  second: { kind: rest, baseUrl: '${url}/second', allowPrivate: true }
`,
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    timeout: 1h
    initialState: a
    states:
      a:
        transitions:
          ${transition('pay', 'main')}
          ${transition('send', 'second')}
      done: { terminal: true }
`,
});
const other: Principal = { ...starter, id: 'drone' };
const third: Principal = { ...starter, id: 'third' };
const awaited = (tries: number) => ({
  ...{ type: 'TURN_AWAITED', nonRetryable: false },
  // Temporal's SDK logs it at DEBUG, which no worker shows.
  category: 'BENIGN',
  nextRetryDelay: Math.min(1_000 * 2 ** (tries - 1), 30_000),
});

let target: Target;
let governed: Governed;
before(async () => {
  target = await makeTarget();
  governed = await makeGoverned(policies(target.url));
});
after(async () => {
  await governed.stop();
  await target.close();
});

const asked = async (by: Principal, name = 'pay'): Promise<Handle> => {
  const run = await governed.start('f');
  await run.submit(by, name);
  return run;
};
const executionOf = (run: Handle, process: string, tries = 1): Promise<Stepped> => {
  const input = { run: run.id, action: run.state.executing?.action.id ?? '' };
  return execute(governed.deps, input, { ...aroundExecution(run.id, process), tries });
};
const called = (times: number): Promise<unknown> =>
  until(`${times} calls`, () => (target.requests.length === times ? true : null), 60_000);

describe('calls that hang', () => {
  let answer: (status: number) => void = () => undefined;
  const held: Promise<Stepped>[] = [];
  const hang = async (by: Principal, times: number): Promise<void> => {
    const before = target.requests.length;
    for (let n = 0; n < times; n += 1) held.push(executionOf(await asked(by), 'svc_one'));
    await called(before + times);
  };
  before(() => {
    const comes = new Promise<number>((resolve) => (answer = resolve));
    target.say(...Array.from({ length: mostCallsToOne }, () => comes));
  });

  it('of one principal leave the rest of the slots to others, and what it asks beyond waits: nothing of it has begun', async () => {
    await hang(starter, mostCallsOfOne);
    const run = await asked(starter);
    countSlotWaits();
    for (const tries of [1, 3, 40]) await assert.rejects(executionOf(run, 'svc_one', tries), awaited(tries));
    assert.deepEqual([countSlotWaits(), countSlotWaits()], [3, 0]);
    const action = run.state.executing?.action.id ?? '';
    assert.deepEqual(await listAttempts(governed.deps.pool, action), []);
    assert.deepEqual(
      (await run.records()).filter(({ type }) => type.startsWith('executor.')),
      [],
    );
    const send = await asked(starter, 'send');
    await assert.rejects(executionOf(send, 'svc_one'), awaited(1));
    assert.ok(mostCallsOfOne < mostCallsToOne && mostCallsToOne < callSlots);
  });

  it('over one connection leave the rest to others, whoever asks', async () => {
    await hang(other, mostCallsToOne - mostCallsOfOne);
    const run = await asked(third);
    await assert.rejects(executionOf(run, 'svc_one'), awaited(1));
    assert.equal((await executionOf(await asked(third, 'send'), 'svc_one')).runStatus, 'running');
    // Another process has slots of its own.
    assert.equal((await executionOf(run, 'svc_two')).runStatus, 'running');
  });

  it('give their part back with their answer', async () => {
    answer(200);
    await Promise.all(held);
    const before = target.requests.length;
    assert.equal((await executionOf(await asked(starter), 'svc_one')).runStatus, 'running');
    assert.equal(target.requests.length, before + 1);
  });
});
