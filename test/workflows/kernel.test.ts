import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kernel } from '../../src/workflows/kernel.js';
import { bell, begun, drive, stepped, taken, type Beginning, type Driver } from './driver.js';

// What the kernel does with what arrives: it orders, and decides nothing.

const effect = { action: 'act_1', timeoutMs: 30_000 };
const due = 60_000;

describe('a run begins', () => {
  it('with its start, whatever came before its first task', async () => {
    const driver = await drive();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    const { input } = driver.step();
    assert.deepEqual(
      { ...input, arrivals: taken(driver.step()) },
      { run: 'run_1', rev: 1, builtOn: null, arrivals: ['msg_start'], gaveUp: null },
    );
    await driver.step().give(stepped(1));
    assert.deepEqual(taken(driver.step()), ['msg_1']);
  });

  it('not at all when the store refuses it, and says why', async () => {
    const driver = await drive();
    await driver.step().give({ status: 'refused', reason: 'withdrawn' });
    assert.deepEqual(driver.outcome(), { ended: { kind: 'refused', reason: 'withdrawn' } });
  });

  it('again from what a history before carried over, without its start', async () => {
    const carried = { ...known(7), dropped: false };
    const driver = await drive({ carried });
    assert.equal(driver.steps.length, 0);
    assert.deepEqual(driver.kernel.view(), {
      ...{ run: 'run_1', state: 'open', status: 'running', version: 7, rev: 7, head: 'sha256:head7' },
    });
    await driver.send((kernel) => kernel.onSignal('decide', bell('msg_1', 'decide')));
    assert.deepEqual([driver.step().input.rev, driver.step().input.builtOn], [8, 'sha256:doc7']);
  });
});

const known = (rev: number) => ({
  ...{ rev, digest: `sha256:doc${rev}`, head: `sha256:head${rev}`, state: 'open' },
  ...{ status: 'running' as const, version: rev, wakeAt: null },
});

const ring = (kernel: Kernel, ...ids: readonly string[]): void => {
  for (const id of ids) kernel.onSignal('submit', bell(id));
};

describe('what arrives', () => {
  it('is taken in its order, together with all that came meanwhile, each step upon the one before', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.send((kernel) => kernel.onSignal('decide', bell('msg_2', 'decide')));
    await driver.send((kernel) => kernel.onWake());
    await driver.send((kernel) => kernel.onSignal('cancel', bell('msg_3', 'cancel')));
    assert.deepEqual(taken(driver.step()), ['msg_1']);
    await driver.step().give(stepped(2));
    assert.deepEqual(taken(driver.step()), ['msg_2', 'look', 'msg_3']);
    assert.deepEqual([driver.step().input.rev, driver.step().input.builtOn], [3, 'sha256:doc2']);
    await driver.step().give(stepped(3));
    assert.equal(driver.isStepping(), false);
    assert.equal(driver.outcome(), null);
  });

  it('is garbage, and recorded as that, when it is no bell of that name', async () => {
    const driver = await begun();
    const strange = [
      ...[null, undefined, 7, 'msg_1', [], {}, { ...bell('msg_1'), more: 1 }, { ...bell('msg_1'), id: '' }],
      ...[
        { ...bell('msg_1'), digest: 'x'.repeat(200) },
        { ...bell('msg_1'), id: 'a b' },
      ],
    ];
    await driver.send((kernel) => {
      for (const raw of strange) kernel.onSignal('submit', raw);
      // A bell of another kind than its signal's.
      kernel.onSignal('cancel', bell('msg_1', 'submit'));
    });
    await driver.step().give(stepped(2, { left: [] }));
    const all = driver.steps.flatMap(taken).slice(1);
    assert.deepEqual(all, [...strange.map(() => 'garbage submit'), 'garbage cancel']);
  });

  it('is recorded as refused when it is Temporal that is asked to cancel the workflow, and the run goes on', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onCancelRequest());
    assert.deepEqual(taken(driver.step()), ['garbage temporal.cancel']);
    await driver.step().give(stepped(2));
    assert.equal(driver.outcome(), null);
  });

  it('is taken each time that it comes: the store says what adds nothing', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.send((kernel) => {
      for (let times = 0; times < 2; times += 1) {
        kernel.onSignal('submit', bell('msg_1'));
        kernel.onWake();
        kernel.onSignal('submit', null);
      }
    });
    await driver.step().give(stepped(2));
    const once = ['msg_1', 'look', 'garbage submit'];
    assert.deepEqual(taken(driver.step()), [...once, ...once]);
  });

  it('is given to the same steps when it is replayed, where it comes at once and had come in parts', async () => {
    const names = ['msg_1', 'msg_2', 'msg_2', 'msg_3', 'msg_4', 'msg_5'];
    const lived = await begun();
    const replayed = await begun();
    const first = names.slice(0, 3);
    for (const [driver, arrived] of [
      [lived, first],
      [replayed, names],
    ] as const)
      await driver.send((kernel) => arrived.forEach((name) => kernel.onSignal('submit', bell(name))));
    assert.deepEqual([taken(lived.step()), taken(replayed.step())], [first, names]);
    // The rest came while that step was under way, in a task that took the place of one that had run out of time.
    await lived.send((kernel) => names.slice(3).forEach((name) => kernel.onSignal('submit', bell(name))));
    // The history has what the step came to; it had left the second to the next one.
    const results = [stepped(2, { given: 3, left: [1], wakeAt: due }), stepped(3, { given: 4 })];
    for (const result of results) {
      await lived.step().give(result);
      await replayed.step().give(result);
      assert.deepEqual(lived.isStepping(), replayed.isStepping());
      assert.deepEqual(lived.kernel.view(), replayed.kernel.view());
    }
    const rest = ['msg_2', ...names.slice(3)];
    assert.deepEqual(
      [taken(lived.steps[2] ?? lived.step()), taken(replayed.steps[2] ?? lived.step())],
      [rest, rest],
    );
    assert.deepEqual([lived.steps.length, replayed.steps.length, lived.isStepping()], [3, 3, false]);
  });

  it('is given to the same steps when it is replayed, also where a step over it failed and it goes on one at a time', async () => {
    const names = ['msg_1', 'msg_2', 'msg_3', 'msg_4'];
    const [first, second] = [names.slice(0, 2), names.slice(2)];
    const lived = await begun();
    const replayed = await begun();
    const ringOn = (driver: Driver, of: readonly string[]): Promise<void> =>
      driver.send((kernel) => of.forEach((name) => kernel.onSignal('submit', bell(name))));
    await ringOn(lived, first);
    await ringOn(replayed, names);
    for (const driver of [lived, replayed]) await driver.step().fail(new Error('it threw'));
    await ringOn(lived, second);
    // What came later is no part of what failed, and was taken together: the history says so to a replay, which had it all.
    const results = [stepped(2, { given: 1 }), stepped(3, { given: 1 }), stepped(4, { given: 2 })];
    for (const result of results) {
      await lived.step().give(result);
      await replayed.step().give(result);
      assert.deepEqual(lived.kernel.view(), replayed.kernel.view());
      assert.equal(lived.isStepping(), replayed.isStepping());
    }
    assert.deepEqual(taken(lived.steps.at(-1) ?? lived.step()), second);
    assert.equal(replayed.isStepping(), false, 'what was taken together does not come again');
  });

  it('is taken before an outcome is looked at, whichever of them a replay brings first', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => {
      kernel.onSignal('submit', bell('msg_1'));
      void driver.executions[0]?.give(stepped(3));
    });
    assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['msg_1'], 2]);
    await driver.step().give(stepped(2, { execution: effect }));
    assert.equal(driver.kernel.view().rev, 3);
  });

  it('is taken by fifties, all of it, in its order', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.send((kernel) => {
      for (let n = 0; n < 5_010; n += 1) kernel.onSignal('submit', bell(`msg_${n}`));
    });
    for (let rev = 2; driver.isStepping(); rev += 1) await driver.step().give(stepped(rev));
    const batches = driver.steps.slice(2).map(taken);
    assert.deepEqual(
      batches.map((batch) => batch.length),
      [...Array.from({ length: 100 }, () => 50), 10],
    );
    assert.deepEqual(
      batches.flat(),
      Array.from({ length: 5_010 }, (_, n) => `msg_${n}`),
    );
  });

  it('comes again with the next step when the store had taken another step meanwhile', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.send((kernel) => {
      kernel.onSignal('submit', bell('msg_1'));
      kernel.onSignal('submit', bell('msg_2'));
      kernel.onSignal('submit', bell('msg_3'));
    });
    await driver.step().give(stepped(2));
    assert.deepEqual(taken(driver.step()), ['msg_1', 'msg_2', 'msg_3']);
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_4')));
    // It ran before, with the second of them alone.
    await driver.step().give(stepped(3, { left: [0, 2] }));
    assert.deepEqual(taken(driver.step()), ['msg_1', 'msg_3', 'msg_4']);
  });
});

describe('an effect', () => {
  it('is begun when the store says that it is under way, once, and its result is the next step', async () => {
    const driver = await begun({ execution: effect });
    assert.deepEqual(
      driver.executions.map(({ input, timeoutMs }) => ({ ...input, timeoutMs })),
      [{ run: 'run_1', ...effect }],
    );
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(2, { execution: effect }));
    assert.equal(driver.executions.length, 1);
    await driver.executions[0]?.give(stepped(3, { state: 'paid', runStatus: 'completed' }));
    assert.deepEqual(driver.outcome(), {
      ended: {
        kind: 'closed',
        result: { status: 'completed', state: 'paid', version: 3, head: 'sha256:head3' },
      },
    });
    assert.equal(driver.steps.length, 2);
  });

  it('whose outcome the store took at the step that was under way is adopted, and the batch comes again', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.step().give(stepped(2, { left: [0] }));
    assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['msg_1'], 3]);
    // The execution tells the kernel what it knows.
    await driver.executions[0]?.give(stepped(2));
    assert.equal(driver.kernel.view().rev, 2);
    await driver.step().give(stepped(3));
    assert.deepEqual([driver.kernel.view().rev, driver.isStepping()], [3, false]);
  });

  it('that ended upon a step of which only the store knows waits for that step', async () => {
    const driver = await begun({ execution: effect });
    await driver.executions[0]?.give(stepped(3));
    assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['look'], 2]);
    await driver.step().give(stepped(2, { execution: effect, left: [0] }));
    assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['look'], 3]);
    await driver.step().give(stepped(3));
    assert.equal(driver.kernel.view().rev, 3);
    assert.equal(driver.executions.length, 1);
    assert.equal(driver.isStepping(), false);
  });

  it('that leads to another effect hands over to that one', async () => {
    const driver = await begun({ execution: effect });
    await driver.executions[0]?.give(stepped(2, { execution: { action: 'act_2', timeoutMs: 5 } }));
    assert.deepEqual(
      driver.executions.map(({ input }) => input.action),
      ['act_1', 'act_2'],
    );
  });

  it('is asked to begin no further attempt when the run is cancelled, and the run waits for its outcome', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onSignal('cancel', bell('msg_1', 'cancel')));
    assert.equal(driver.executions[0]?.isCancelled, false);
    await driver.step().give(stepped(2, { execution: effect, cancelling: true }));
    assert.equal(driver.executions[0]?.isCancelled, true);
    assert.equal(driver.outcome(), null);
  });
});

describe('time', () => {
  it('is one timer, moved with what the store says and gone when the run is closed', async () => {
    const driver = await begun({ wakeAt: due });
    assert.deepEqual(
      driver.setTimers().map(({ ms }) => ms),
      [due],
    );
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(2, { wakeAt: due }));
    assert.equal(driver.timers.length, 1, 'the same moment is no reason for another timer');
    driver.setTime(10_000);
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(3, { wakeAt: 2 * due }));
    assert.deepEqual(
      driver.setTimers().map(({ ms }) => ms),
      [2 * due - 10_000],
    );
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(4, { wakeAt: due, runStatus: 'cancelled' }));
    assert.deepEqual(driver.setTimers(), []);
  });

  it('that has come is asked of the store once, and again soon while its clock does not agree', async () => {
    const driver = await begun({ wakeAt: due });
    driver.setTime(due);
    await driver.timers[0]?.fire();
    assert.deepEqual(taken(driver.step()), ['time']);
    await driver.step().give(stepped(1, { wakeAt: due }));
    assert.deepEqual(
      driver.setTimers().map(({ ms }) => ms),
      [500],
    );
    await driver.setTimers()[0]?.fire();
    await driver.step().give(stepped(2, { wakeAt: null }));
    assert.deepEqual(driver.setTimers(), []);
  });

  it('that is centuries away is looked at again on the way', async () => {
    const driver = await begun({ wakeAt: Date.parse('9999-12-31T23:59:59Z') });
    assert.deepEqual(
      driver.setTimers().map(({ ms }) => ms),
      [365 * 24 * 3_600_000],
    );
  });

  it('goes on in the history that follows', async () => {
    const driver = await drive({ carried: { ...known(3), wakeAt: due, dropped: false } });
    assert.deepEqual(
      driver.setTimers().map(({ ms }) => ms),
      [due],
    );
  });
});

describe('a history that has grown long', () => {
  const isContinued = (outcome: unknown): boolean => JSON.stringify(outcome)?.includes('"continue"') ?? false;

  it('is followed by another once nothing waits and nothing is under way', async () => {
    const driver = await begun({ execution: effect, wakeAt: due });
    await driver.setHistory('long');
    assert.equal(driver.outcome(), null);
    await driver.executions[0]?.give(stepped(2, { wakeAt: due }));
    assert.deepEqual(driver.outcome(), {
      ended: { kind: 'continue', carried: { ...known(2), wakeAt: due, dropped: false } },
    });
  });

  it('leaves what waits to the next one, so that a run that is asked without a pause goes on in it at once', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.setHistory('long');
    await driver.send((kernel) => ring(kernel, 'msg_1', 'msg_2'));
    await driver.step().give(stepped(2));
    assert.deepEqual(driver.outcome(), {
      ended: {
        kind: 'continue',
        carried: { ...known(2), dropped: true, bells: [bell('msg_1'), bell('msg_2')], unread: false },
      },
    });
  });

  it('takes first what it cannot leave to the next one, unless it is full', async () => {
    const long = await begun();
    await long.send((kernel) => kernel.onWake());
    await long.setHistory('long');
    await long.send((kernel) => kernel.onSignal('submit', 7));
    await long.step().give(stepped(2));
    assert.deepEqual(taken(long.step()), ['garbage submit']);
    await long.setHistory('full');
    await long.send((kernel) => kernel.onSignal('submit', bell('msg_2')));
    await long.step().give(stepped(3));
    assert.ok(isContinued(long.outcome()));
  });

  it('is followed after 8,000 signals once what waits can be left to the next one, and after 9,000 at once; what was left behind is recorded', async () => {
    const driver = await begun();
    const wake = (to: Driver, count: number) =>
      to.send((kernel) => {
        for (let n = 0; n < count; n += 1) kernel.onWake();
      });
    let rev = 1;
    const takeAll = async (): Promise<void> => {
      while (driver.isStepping()) await driver.step().give(stepped((rev += 1)));
    };
    await wake(driver, 7_999);
    await takeAll();
    assert.equal(driver.outcome(), null);
    await wake(driver, 1);
    await takeAll();
    assert.deepEqual(driver.outcome(), {
      ended: { kind: 'continue', carried: { ...known(rev), dropped: false } },
    });
    const flooded = await begun();
    await flooded.send((kernel) => ring(kernel, ...Array.from({ length: 8_999 }, (_, n) => `msg_${n}`)));
    await flooded.step().give(stepped(2));
    assert.equal(flooded.outcome(), null, 'they wait, and are 8,999');
    await wake(flooded, 1);
    await flooded.step().give(stepped(3));
    // Two steps have taken fifty each.
    const bells = Array.from({ length: 50 }, (_, n) => bell(`msg_${n + 100}`));
    assert.deepEqual(flooded.outcome(), {
      ended: { kind: 'continue', carried: { ...known(3), dropped: true, bells, unread: true } },
    });
  });

  it('is followed by another where the same few bells wait thousands of times, but not in one of the kernel before', async () => {
    for (const [version, expected] of [
      [4, null],
      [
        5,
        {
          ended: {
            kind: 'continue',
            carried: { ...known(2), dropped: true, bells: [bell('msg_1')], unread: false },
          },
        },
      ],
    ] as const) {
      const driver = await begun({}, { version });
      await driver.send((kernel) => ring(kernel, ...Array.from({ length: 8_500 }, () => 'msg_1')));
      await driver.step().give(stepped(2));
      assert.deepEqual(driver.outcome(), expected);
    }
  });

  const left: readonly (readonly [string, (kernel: Kernel) => void, readonly string[]])[] = [
    ['bells, each once', (kernel) => ring(kernel, 'msg_1', 'msg_2', 'msg_1'), ['msg_1', 'msg_2']],
    [
      'what is no bell: that nobody has read it',
      (kernel) => kernel.onSignal('submit', 7),
      ['garbage overflow'],
    ],
    ['nothing that asks for nothing', (kernel) => kernel.onWake(), []],
    [
      'as many bells as its input holds, and that there were others',
      (kernel) => ring(kernel, ...Array.from({ length: 51 }, (_, n) => `msg_${n}`)),
      [...Array.from({ length: 50 }, (_, n) => `msg_${n}`), 'garbage overflow'],
    ],
  ];
  for (const [what, send, expected] of left)
    it(`leaves to the next one, where it is full: ${what}`, async () => {
      const driver = await begun();
      await driver.send((kernel) => kernel.onWake());
      await driver.send(send);
      await driver.setHistory('full');
      await driver.step().give({ status: 'waiting' });
      const outcome = driver.outcome();
      assert.ok(outcome !== null && 'ended' in outcome && outcome.ended.kind === 'continue');
      const { carried } = outcome.ended;
      assert.ok(JSON.stringify(carried).length < 48 * 1024);
      const next = await drive({ carried });
      const first = taken(next.step());
      await next.step().give(stepped(2));
      const second = next.isStepping() ? taken(next.step()) : [];
      assert.deepEqual([...first, ...second], ['look', ...expected]);
    });

  it('of an earlier build, which does not say what it has left, is taken to have left something unread', async () => {
    const next = await drive({ carried: { ...known(3), dropped: true } });
    const [, garbage] = next.step().input.arrivals;
    assert.deepEqual(garbage, { kind: 'garbage', name: 'overflow', reason: 'unread' });
  });

  it('does not end a run before what it was asked at its close is taken', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('cancel', bell('msg_1', 'cancel')));
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_2')));
    await driver.setHistory('full');
    await driver.step().give(stepped(2, { runStatus: 'cancelled' }));
    assert.deepEqual(taken(driver.step()), ['msg_2']);
    await driver.step().give(stepped(3, { runStatus: 'cancelled' }));
    assert.match(JSON.stringify(driver.outcome()), /"kind":"closed"/);
  });
});

describe('where store and history tell of two pasts', () => {
  it("the store's counts from there on, also where it is the shorter one, and what waited comes again", async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(2, { execution: effect }));
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver
      .step()
      .give(stepped(1, { isForked: true, runStatus: 'stuck', digest: 'sha256:restored', left: [0] }));
    assert.deepEqual([driver.kernel.view().rev, driver.kernel.view().status], [1, 'stuck']);
    assert.deepEqual(
      [taken(driver.step()), driver.step().input.rev, driver.step().input.builtOn],
      [['msg_1'], 2, 'sha256:restored'],
    );
    // What the other past had under way is no concern of this one's.
    await driver.executions[0]?.fail(new Error('NOT_EXECUTING'));
    await driver.step().give(stepped(2, { runStatus: 'stuck' }));
    assert.equal(driver.isStepping(), false);
  });

  for (const told of ['after', 'before'] as const)
    it(`what an effect of the other past came to, told ${told} the fork, is nothing to this one`, async () => {
      const driver = await begun({ execution: effect });
      await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
      const tell = () =>
        driver.executions[0]?.give(stepped(3, { runStatus: 'completed', digest: 'sha256:other past' }));
      if (told === 'before') await tell();
      await driver.step().give(stepped(2, { isForked: true, runStatus: 'stuck', digest: 'sha256:restored' }));
      if (told === 'after') await tell();
      assert.deepEqual([driver.outcome(), driver.kernel.view().rev], [null, 2]);
      await driver.send((kernel) => kernel.onSignal('retry', bell('msg_2', 'retry')));
      assert.deepEqual([driver.step().input.rev, driver.step().input.builtOn], [3, 'sha256:restored']);
    });

  for (const [where, rev] of [
    ['under the number of the last step that is known', 3],
    ['under an earlier number', 2],
  ] as const)
    it(`an outcome that the restored store took ${where} is looked for there, and its run ends`, async () => {
      const driver = await afterTwoSteps();
      await driver.executions[0]?.give(stepped(rev, { runStatus: 'completed', digest: 'sha256:restored' }));
      assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['look'], 4]);
      await driver
        .step()
        .give(stepped(rev + 1, { isForked: true, runStatus: 'completed', digest: 'sha256:forked' }));
      assert.equal(driver.isStepping(), false);
      assert.deepEqual(driver.outcome(), {
        ended: {
          kind: 'closed',
          result: { status: 'completed', state: 'open', version: rev + 1, head: `sha256:head${rev + 1}` },
        },
      });
    });

  it('an outcome that a step has brought already is not looked for', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    const outcome = stepped(2);
    await driver.executions[0]?.give(outcome);
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_2')));
    await driver.step().give({ ...outcome, given: 1, left: [0] });
    assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['msg_1', 'msg_2'], 3]);
    await driver.step().give(stepped(3));
    assert.deepEqual([driver.isStepping(), driver.kernel.view().rev], [false, 3]);
  });

  it('a history of an earlier kernel replays as it went: nobody looked there', async () => {
    const driver = await afterTwoSteps({ version: 3 });
    await driver.executions[0]?.give(stepped(3, { runStatus: 'completed', digest: 'sha256:restored' }));
    assert.deepEqual([driver.isStepping(), driver.outcome()], [false, null]);
  });

  async function afterTwoSteps(beginning: Beginning = {}): Promise<Driver> {
    const driver = await begun({ execution: effect }, beginning);
    for (const rev of [2, 3]) {
      await driver.send((kernel) => kernel.onWake());
      await driver.step().give(stepped(rev, { execution: effect }));
    }
    return driver;
  }

  it('an older result than what is known changes nothing', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(2));
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(1));
    assert.equal(driver.kernel.view().rev, 2);
  });
});
