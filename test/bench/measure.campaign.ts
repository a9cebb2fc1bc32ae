import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Arrivals } from '../../bench/gates/arrivals.js';
import { measureSide, type MeasurePlan, type Row } from '../../bench/gates/measure.js';
import type { Side } from '../../bench/gates/side.js';

// An engine that parks at once and decides in its own time: what the benchmark makes of it.

const arrivals: Arrivals = {
  url: 'http://127.0.0.1',
  of: () => Promise.resolve(performance.now()),
  close: () => Promise.resolve(),
};

function engine(decideMs: number): Side {
  let parked = 0;
  const decide = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, decideMs));
  return {
    name: 'one',
    about: '',
    park: () => Promise.resolve({ id: String((parked += 1)), decide }),
    parked: () => parked,
    worker: { kill: () => Promise.resolve(), start: () => Promise.resolve() },
    processes: () => ({}),
    stored: () => Promise.resolve({}),
    stop: () => Promise.resolve(),
  };
}

const plan: MeasurePlan = {
  parked: [30, 40],
  decisions: 10,
  kills: 3,
  inFlight: 4,
  minutes: 1,
  endsAt: Infinity,
  decidingMs: 60_000,
};

async function measured(decideMs: number, given: Partial<MeasurePlan>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of measureSide(engine(decideMs), { ...plan, ...given }, arrivals, () => undefined))
    rows.push(row);
  return rows;
}

describe('what the benchmark of approvals measures', { concurrency: true }, () => {
  it('decides as many as it was told at each size, and fills up what the size before has used', async () => {
    const rows = await measured(0, {});
    assert.deepEqual(
      rows.map(({ parked, warm, afterRestart, kills }) => [
        parked,
        warm.acceptedMs.count,
        afterRestart.nextStepMs.count,
        kills.length,
      ]),
      [
        [30, 10, 10, 3],
        [40, 10, 10, 3],
      ],
    );
  });

  it('takes fewer decisions and kills of an engine that is slow, and says how many', async () => {
    const [row] = await measured(5, { parked: [30], decidingMs: 1 });
    assert.equal(row?.status, 'measured');
    assert.deepEqual(
      [row.warm.acceptedMs.count, row.afterRestart.acceptedMs.count, row.kills.length],
      [1, 1, 1],
    );
  });

  it('parks nothing beyond the end of the whole run, and goes to no larger size', async () => {
    const rows = await measured(0, { endsAt: performance.now() - 1 });
    assert.deepEqual(
      rows.map(({ status, parked }) => [status, parked]),
      [['outOfTime', 0]],
    );
  });
});
