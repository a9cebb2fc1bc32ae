import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { reconstructRun } from '../../src/service/audit/history.js';
import { listRecords, recordsOfRun } from '../../src/service/audit/records.js';
import { readAction } from '../../src/service/runs/action.js';
import { cancelRun } from '../../src/service/runs/operate.js';
import { listRuns, readRun } from '../../src/service/runs/read.js';
import { startRun } from '../../src/service/runs/start.js';
import { submitTransition } from '../../src/service/runs/submit.js';
import { callerOf, makeGround, refusedWith, taken, type Ground } from './callers.js';

describe('a run, asked for by no door', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
  });
  after(() => ground.stop());
  const as = (name: string) => callerOf(ground, name);

  async function start(): Promise<string> {
    const started = taken(await startRun(await as('agent'), 'pay', {}, 5));
    assert.ok(started.kind === 'started' && started.hasSettled);
    return started.run;
  }

  it('is started once for one request, however often it is sent', async () => {
    const caller = await as('agent');
    const [first, again] = [await startRun(caller, 'pay', {}, 5), await startRun(caller, 'pay', {}, 5)].map(
      taken,
    );
    assert.ok(first?.kind === 'started' && again?.kind === 'started');
    assert.equal(first.run, again.run);
  });

  it('executes what is submitted, says what came of it, and refuses what its state does not have', async () => {
    const run = await start();
    const look = { run, transition: 'bank.balance' };
    const executed = taken(await submitTransition(await as('agent'), look, {}, 5));
    assert.ok(executed.kind === 'executed');
    assert.deepEqual(executed.output, { balance: 7 });
    const caller = await as('agent');
    const refused = await submitTransition(caller, { run, transition: 'nothing' }, {}, 5);
    assert.equal(refusedWith(refused).code, 'BLOCKED');
    // The run has recorded the refusal: the door need not record it again.
    assert.deepEqual([caller.trail.recordedByRun, caller.trail.facts], [true, []]);
  });

  it('parks what needs a person, which can be polled, and is cancelled by who may operate', async () => {
    const run = await start();
    const pay = { run, transition: 'bank.pay' };
    const pending = taken(await submitTransition(await as('agent'), pay, { arguments: { amount: 150 } }, 5));
    assert.ok(pending.kind === 'pending');
    const polled = taken(await readAction(await as('agent'), pending.action));
    assert.deepEqual([polled.isSettled, polled.body['status']], [false, 'pending']);
    const cancelled = taken(await cancelRun(await as('admin'), run, 'no longer wanted', 5));
    assert.equal(cancelled.hasSettled, true);
    assert.equal(taken(await readAction(await as('agent'), pending.action)).isSettled, true);
  });

  it('is for those who may see it alone, as are its records', async () => {
    const run = await start();
    const stranger = await as('employee');
    assert.equal(refusedWith(await readRun(stranger, run)).code, 'NOT_FOUND');
    assert.equal(refusedWith(await reconstructRun(stranger, run)).code, 'NOT_FOUND');
    assert.deepEqual(taken(await listRuns(stranger, { limit: 10 })).data, []);
    assert.equal(refusedWith(await recordsOfRun(stranger, run, { limit: 100 })).code, 'NOT_FOUND');
    const records = taken(await recordsOfRun(await as('agent'), run, { limit: 100 }));
    assert.ok(records.data.some(({ type }) => type === 'run.started'));
    taken(await readRun(await as('auditor'), run));
    const page = taken(await listRecords(await as('auditor'), { run, limit: 100 }));
    assert.ok(page.data.some(({ type }) => type === 'run.started'));
    const cursor = await listRecords(await as('auditor'), { run, limit: 100, cursor: 'made up' });
    assert.equal(refusedWith(cursor).code, 'REQUEST_INVALID');
  });
});
