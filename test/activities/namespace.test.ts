import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApplicationFailure, asyncLocalStorage, Context, type Info } from '@temporalio/activity';
import { makeActivities, type ActivityDeps } from '../../src/activities/index.js';
import { newId } from '../../src/model/names/ids.js';

// Whose workflow asks is for the store to say: while it does not, nothing is done.

const run = newId('run');
const away = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
const pool = {
  query: () => Promise.reject(away),
  connect: () => Promise.reject(new Error('it went on unasked')),
};

/** As Temporal calls it, from a workflow of the run's name. */
function asked<T>(isLocal: boolean, act: () => Promise<T>): Promise<T> {
  const info = { isLocal, workflowType: 'run', workflowExecution: { workflowId: run, runId: 'r' } };
  const context = Object.assign(Object.create(Context.prototype) as Context, {
    info: { ...info, workflowNamespace: 'of-a-stranger' } as unknown as Info,
    heartbeat: () => undefined,
    cancelled: new Promise<never>(() => undefined),
  });
  return asyncLocalStorage.run(context, act);
}

describe('while the store cannot say whose a workflow is', () => {
  const failed: unknown[] = [];
  const onInternalError: ActivityDeps['onInternalError'] = (_what, error) => failed.push(error);
  let waits = 0;
  const onStoreWait = (): void => void (waits += 1);
  const hands = makeActivities({ pool, onInternalError, onStoreWait } as unknown as ActivityDeps, 'here');

  it('a step waits', async () => {
    const input = { run, rev: 1, builtOn: null, arrivals: [], gaveUp: null };
    assert.deepEqual(await asked(true, () => hands.step(input)), { status: 'waiting' });
    assert.equal(waits, 1);
  });

  it('an effect is tried again, and is no failure of ours', async () => {
    await assert.rejects(
      asked(false, () => hands.execute({ run, action: newId('act') })),
      (error) => !(error instanceof ApplicationFailure) && error === away,
    );
    assert.deepEqual(failed, []);
    assert.equal(waits, 2);
  });
});
