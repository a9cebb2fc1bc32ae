import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { failureConverter } from '../../src/workflows/failure-converter.js';
import { payloadConverter } from '../../src/workflows/payload-converter.js';
import { begun, bell, drive, stepped, taken, type Driver } from './driver.js';

// The failure table of docs/reliability.md, row by row: what the kernel itself does. What its hands do with a real store
// and a real server is in failures-store.test.ts and failures-stack.test.ts.

const effect = { action: 'act_1', timeoutMs: 30_000 };
const stuck = { runStatus: 'stuck' } as const;
const bug = new Error('a bug');

describe('a step that throws', () => {
  it('over several arrivals is taken over one at a time, in their order, and those that come later wait', async () => {
    const driver = await begun();
    await driver.send((kernel) => {
      for (const id of ['msg_1', 'msg_2', 'msg_3']) kernel.onSignal('submit', bell(id));
    });
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_4')));
    await driver.step().fail(bug);
    for (const rev of [2, 3, 4]) await driver.step().give(stepped(rev));
    assert.deepEqual(driver.steps.slice(2).map(taken), [['msg_1'], ['msg_2'], ['msg_3'], ['msg_4']]);
  });

  it('over one arrival makes the run stuck over that one, with the reason, and the others are taken', async () => {
    const driver = await begun();
    await driver.send((kernel) => {
      for (const id of ['msg_1', 'msg_poison', 'msg_2']) kernel.onSignal('submit', bell(id));
    });
    await driver.step().fail(bug);
    await driver.step().give(stepped(2));
    assert.deepEqual([taken(driver.step()), driver.step().input.gaveUp], [['msg_poison'], null]);
    await driver.step().fail(bug);
    assert.deepEqual(
      [taken(driver.step()), driver.step().input.gaveUp, driver.step().input.rev],
      [['msg_poison'], 'a bug', 3],
    );
    await driver.step().give(stepped(3, stuck));
    assert.equal(driver.kernel.view().status, 'stuck');
    assert.deepEqual([taken(driver.step()), driver.step().input.gaveUp], [['msg_2'], null]);
  });

  it('over the very first arrival makes the run stuck too', async () => {
    const driver = await drive();
    await driver.step().fail(bug);
    assert.deepEqual([taken(driver.step()), driver.step().input.gaveUp], [['msg_start'], 'a bug']);
    await driver.step().give(stepped(1, stuck));
    assert.deepEqual([driver.kernel.view().status, driver.outcome()], ['stuck', null]);
  });

  const reasons: readonly (readonly [string, unknown, string])[] = [
    ["an activity's failure names its cause", new Error('outer', { cause: new Error('inner') }), 'inner'],
    ['a text', 'only text', 'only text'],
    ['nothing', undefined, 'undefined'],
    ['a long one is cut', new Error('x'.repeat(1_000)), 'x'.repeat(300)],
    ['a broken character is replaced', new Error('\ud83d'), '\ufffd'],
    ['a character that the cut breaks too', new Error(`${'x'.repeat(299)}😀`), `${'x'.repeat(299)}\ufffd`],
  ];
  for (const [name, error, reason] of reasons)
    it(`says why in a text that can be recorded: ${name}`, async () => {
      const driver = await drive();
      await driver.step().fail(error);
      assert.equal(driver.step().input.gaveUp, reason);
    });

  it('with an error that cannot even be read makes the run stuck as well', async () => {
    const driver = await drive();
    await driver.step().fail(Object.create(null));
    assert.match(String(driver.step().input.gaveUp), /primitive value/);
  });

  it('also where the run is to be made stuck is tried again, with longer and longer pauses', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.step().fail(bug);
    const pauses: number[] = [];
    for (let times = 0; times < 7; times += 1) {
      assert.deepEqual([taken(driver.step()), driver.step().input.gaveUp], [['msg_1'], 'a bug']);
      await driver.step().fail(new Error('and another'));
      assert.equal(driver.isStepping(), false, 'no step without a pause before it');
      pauses.push(driver.setTimers()[0]?.ms ?? 0);
      await driver.setTimers()[0]?.fire();
    }
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 31_500]);
    await driver.step().give(stepped(2, stuck));
    assert.equal(driver.kernel.view().status, 'stuck');
  });

  it('again and again goes on in another history before this one is full', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.setHistory('full');
    await driver.step().fail(bug);
    await driver.step().fail(bug);
    assert.match(JSON.stringify(driver.outcome()), /"kind":"continue".*"dropped":true/);
  });
});

describe('a store that does not answer', () => {
  it('is waited for, with the same step, while all that arrives waits behind it', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    const pauses: number[] = [];
    for (let times = 0; times < 8; times += 1) {
      assert.deepEqual([taken(driver.step()), driver.step().input.rev], [['msg_1'], 2]);
      await driver.step().give({ status: 'waiting' });
      await driver.send((kernel) => kernel.onSignal('decide', bell('msg_2', 'decide')));
      pauses.push(driver.setTimers()[0]?.ms ?? 0);
      await driver.setTimers()[0]?.fire();
    }
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 31_500, 33_075]);
    await driver.step().give(stepped(2));
    assert.deepEqual(
      taken(driver.step()),
      Array.from({ length: 8 }, () => 'msg_2'),
    );
  });

  it('is waited for while a failed step is to be recorded', async () => {
    const driver = await drive();
    await driver.step().fail(bug);
    await driver.step().give({ status: 'waiting' });
    await driver.setTimers()[0]?.fire();
    assert.equal(driver.step().input.gaveUp, 'a bug');
  });

  for (const [name, beginning] of [
    ['a run', { carried: null }],
    ['a run that has taken steps', { carried: { ...carriedRun(), dropped: false } }],
  ] as const)
    it(`and outlasts a history: ${name} goes on in another`, async () => {
      const driver = await drive(beginning);
      await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
      await driver.setHistory('full');
      await driver.step().give({ status: 'waiting' });
      const outcome = driver.outcome();
      assert.ok(outcome !== null && 'ended' in outcome && outcome.ended.kind === 'continue');
      const next = await drive({ carried: outcome.ended.carried });
      const first = beginning.carried === null ? ['msg_start'] : [];
      assert.deepEqual(taken(next.step()), [...first, 'look', 'msg_1']);
    });

  it('goes on in another history, on any worker, once this one is long', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.step().give({ status: 'waiting' });
    await driver.setHistory('long');
    await driver.setTimers()[0]?.fire();
    // The outbox rings again and again for what waits, and whoever likes may wake the run.
    await driver.send((kernel) => {
      for (let times = 0; times < 60; times += 1) {
        kernel.onSignal('submit', bell('msg_2'));
        kernel.onWake();
      }
    });
    await driver.step().give({ status: 'waiting' });
    const outcome = driver.outcome();
    assert.ok(outcome !== null && 'ended' in outcome && outcome.ended.kind === 'continue');
    const next = await drive({ carried: outcome.ended.carried });
    assert.deepEqual(taken(next.step()), ['look', 'msg_1', 'msg_2']);
  });

  it('has had a pause in each history before the next one follows', async () => {
    const driver = await drive({
      carried: { ...carriedRun(), dropped: true, bells: [bell('msg_1')], unread: false },
    });
    await driver.setHistory('long');
    await driver.step().give({ status: 'waiting' });
    assert.deepEqual([driver.outcome(), driver.setTimers().length], [null, 1]);
    await driver.setTimers()[0]?.fire();
    await driver.step().give({ status: 'waiting' });
    assert.match(JSON.stringify(driver.outcome()), /"kind":"continue".*"dropped":true/);
  });

  it('is waited for here, in a long history too, to make a run stuck: the next history would not know of it', async () => {
    const driver = await begun();
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.step().fail(bug);
    await driver.setHistory('long');
    for (let times = 0; times < 3; times += 1) {
      assert.equal(driver.step().input.gaveUp, 'a bug');
      await driver.step().give({ status: 'waiting' });
      await driver.setTimers()[0]?.fire();
    }
    assert.equal(driver.outcome(), null);
  });

  const staying: readonly (readonly [string, (driver: Driver) => Promise<void>, Parameters<typeof begun>])[] =
    [
      ['with an effect under way', (driver) => driver.send(() => undefined), [{ execution: effect }]],
      [
        'with a signal that is no bell',
        (driver) => driver.send((kernel) => kernel.onSignal('submit', 7)),
        [],
      ],
      [
        'with a step over a signal that is no bell, and none behind it',
        async (driver) => {
          await driver.send((kernel) => kernel.onSignal('submit', 7));
          await driver.step().give(stepped(2));
          assert.deepEqual(
            driver.step().input.arrivals.map(({ kind }) => kind),
            ['garbage'],
          );
        },
        [],
      ],
      [
        'begun by the kernel before, which recorded no such end',
        (driver) => driver.send(() => undefined),
        [{}, { version: 4 }],
      ],
    ];
  for (const [what, before, beginning] of staying)
    it(`stays in a long history ${what}`, async () => {
      const driver = await begun(...beginning);
      await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
      await before(driver);
      await driver.setHistory('long');
      await driver.step().give({ status: 'waiting' });
      // The pause that comes first in each history is over.
      await driver.setTimers()[0]?.fire();
      await driver.step().give({ status: 'waiting' });
      assert.deepEqual([driver.outcome(), driver.setTimers().length], [null, 1]);
    });

  it('is asked ever less often, half a minute and a twentieth of the time it was away apart, for two weeks at the least in one history', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    await driver.setHistory('full');
    let [tries, away, pause] = [0, 0, 0];
    const day = 24 * 3_600_000;
    for (; away < 14 * day; tries += 1) {
      await driver.step().give({ status: 'waiting' });
      assert.equal(driver.outcome(), null);
      pause = driver.setTimers()[0]?.ms ?? 0;
      assert.ok(pause <= 30_001 + away / 20, `a pause of ${pause} ms after ${away}`);
      away += pause;
      await driver.setTimers()[0]?.fire();
    }
    assert.equal(pause, 30 * 60_000);
    // Up to twelve events each, where the store is away, and four for each of the 10,000 signals that the server takes: it ends a history at 51,200.
    assert.ok(tries * 12 + 40_000 < 51_200, `${tries} tries in 14 days`);
  });

  it('has the same pauses in a history of the kernel before, since a replay has to set the same timers', async () => {
    const driver = await begun({ execution: effect }, { version: 4 });
    await driver.send((kernel) => kernel.onSignal('submit', bell('msg_1')));
    const pauses: number[] = [];
    for (let times = 0; times < 9; times += 1) {
      await driver.step().give({ status: 'waiting' });
      pauses.push(driver.setTimers()[0]?.ms ?? 0);
      await driver.setTimers()[0]?.fire();
    }
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });
});

function carriedRun() {
  const { status: _, runStatus: status, rev, digest, head, state, version, wakeAt } = stepped(4);
  return { rev, digest, head, state, status, version, wakeAt };
}

describe('an execution without an outcome', () => {
  const unreadable: unknown = Object.create(null);
  for (const [error, reason] of [
    [new Error('activity failed', { cause: new Error('heartbeat timeout') }), 'heartbeat timeout'],
    [undefined, 'undefined'],
    ['x'.repeat(1_000), 'x'.repeat(300)],
    [unreadable, 'an error that cannot be read'],
  ] as const)
    it(`is told to the store, which knows what had been begun, with its reason (${reason.slice(0, 40)})`, async () => {
      const driver = await begun({ execution: effect });
      await driver.executions[0]?.fail(error);
      assert.deepEqual(driver.step().input.arrivals, [{ kind: 'abandoned', action: 'act_1', reason }]);
      await driver.step().give(stepped(2, stuck));
      assert.deepEqual([driver.executions.length, driver.isStepping(), driver.outcome()], [1, false, null]);
    });

  it('of an action that the store has ended meanwhile says nothing about the next one', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onWake());
    await driver.step().give(stepped(2, { execution: { action: 'act_2', timeoutMs: 1 } }));
    await driver.executions[0]?.fail(new Error('its worker was given up'));
    assert.equal(driver.isStepping(), false);
  });

  it('when cancelled and then lost with its worker: the cancelled run ends', async () => {
    const driver = await begun({ execution: effect });
    await driver.send((kernel) => kernel.onSignal('cancel', bell('msg_1', 'cancel')));
    await driver.step().give(stepped(2, { execution: effect, cancelling: true }));
    // Temporal tries no activity again whose cancel was asked for: its kernel hears of a time-out.
    await driver.executions[0]?.fail(new Error('heartbeat timeout'));
    await driver.step().give(stepped(3, { runStatus: 'cancelled' }));
    assert.match(JSON.stringify(driver.outcome()), /"kind":"closed".*"status":"cancelled"/);
  });
});

describe('a failure of the kernel itself', () => {
  const broken = (times: number) => {
    let left = times;
    return {
      execute: (): never => {
        left -= 1;
        if (left < 0) assert.fail('it was asked once too often');
        throw new Error('no such activity');
      },
    };
  };

  it('makes the run stuck, and the run goes on being asked', async () => {
    const driver = await drive({ ports: broken(1) });
    await driver.step().give(stepped(1, { execution: effect }));
    const { input } = driver.step();
    assert.deepEqual([input.rev, input.arrivals, input.gaveUp], [2, [], 'no such activity']);
    await driver.step().give(stepped(2, stuck));
    await driver.send((kernel) => kernel.onSignal('retry', bell('msg_1', 'retry')));
    assert.deepEqual(taken(driver.step()), ['msg_1']);
  });

  it('of which the run cannot be made stuck either ends the workflow, with the reason', async () => {
    const driver = await drive({ ports: broken(2) });
    await driver.step().give(stepped(1, { execution: effect }));
    await driver.step().give(stepped(2, { ...stuck, execution: effect }));
    const outcome = driver.outcome();
    assert.ok(outcome !== null && 'error' in outcome);
    assert.match(String(outcome.error), /no such activity/);
  });

  it('three times, and not in a row, ends nothing', async () => {
    let begins = 0;
    const running = { result: new Promise<never>(() => undefined), cancel: () => undefined };
    const execute = () => {
      begins += 1;
      if (begins % 2 === 1) throw new Error('no such activity');
      return running;
    };
    const driver = await drive({ ports: { execute } });
    await driver.step().give(stepped(1, { execution: effect }));
    for (let rev = 2; begins < 5; rev += 3) {
      // Made stuck, then what succeeds, then the next that fails.
      await driver.step().give(stepped(rev, stuck));
      for (const [next, action] of [
        [rev + 1, 'good'],
        [rev + 2, 'bad'],
      ] as const) {
        await driver.send((kernel) => kernel.onWake());
        await driver.step().give(stepped(next, { execution: { action: `${action}_${rev}`, timeoutMs: 1 } }));
      }
    }
    assert.deepEqual([begins, driver.outcome()], [5, null]);
    assert.equal(driver.step().input.gaveUp, 'no such activity');
  });

  it('three times in a row ends the workflow', async () => {
    const driver = await drive({ ports: broken(3) });
    await driver.step().give(stepped(1, { execution: effect }));
    for (const rev of [2, 4]) {
      assert.equal(driver.outcome(), null);
      await driver.step().give(stepped(rev, stuck));
      await driver.send((kernel) => kernel.onWake());
      await driver.step().give(stepped(rev + 1, { execution: effect }));
    }
    assert.match(
      JSON.stringify(driver.outcome(), (_, value: unknown) =>
        value instanceof Error ? value.message : value,
      ),
      /no such activity/,
    );
  });
});

describe('a payload that cannot be read', () => {
  const encoding = (name: string) => ({ encoding: new TextEncoder().encode(name) });
  const bytes = (text: string) => new TextEncoder().encode(text);
  const payloads = [
    ['of no encoding', { metadata: {}, data: bytes('{}') }],
    ['of a foreign encoding', { metadata: encoding('binary/encrypted'), data: bytes('{}') }],
    ['with half a text', { metadata: encoding('json/plain'), data: bytes('{"id":') }],
    ['with no text', { metadata: encoding('json/plain'), data: new Uint8Array([0xff]) }],
    ['too large', { metadata: encoding('json/plain'), data: bytes(JSON.stringify('x'.repeat(70_000))) }],
    [
      'nested too deep',
      { metadata: encoding('json/plain'), data: bytes(`${'['.repeat(200)}${']'.repeat(200)}`) },
    ],
  ] as const;
  for (const [name, payload] of payloads)
    it(`is garbage like any other, and recorded: ${name}`, async () => {
      const driver = await begun();
      await driver.send((kernel) => kernel.onSignal('submit', payloadConverter.fromPayload(payload)));
      assert.deepEqual(driver.step().input.arrivals, [
        { kind: 'garbage', name: 'submit', reason: 'undecodable' },
      ]);
    });
});

describe('a failure, of the kernel or of an activity,', () => {
  it('holds only what is UTF-8, since Temporal ends the process over anything else', () => {
    const half = 'said \ud83d';
    const inner = Object.assign(new Error(half), { stack: half, name: half });
    const failure = failureConverter.errorToFailure(
      ApplicationFailure.create({ message: half, type: half, cause: inner }),
      payloadConverter,
    );
    assert.equal(failure.message, 'said \ufffd');
    assert.equal(failure.applicationFailureInfo?.type, 'said \ufffd');
    assert.deepEqual([failure.cause?.message, failure.cause?.stackTrace], ['said \ufffd', 'said \ufffd']);
    for (const thrown of [half, inner, { half }, half.slice(-1)])
      assert.ok(failureConverter.errorToFailure(thrown, payloadConverter).message?.isWellFormed());
  });
});
