import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { asyncLocalStorage, Context, type Info } from '@temporalio/activity';
import { makeDeps, type ActivityDeps } from '../../../src/activities/deps.js';
import { execute } from '../../../src/activities/execute/execute.js';
import { makeActivities } from '../../../src/activities/index.js';
import { step } from '../../../src/activities/step/step.js';
import type { Arrival, StepInput, StepResult } from '../../../src/activities/types.js';
import { makePayloads } from '../../../src/audit/index.js';
import { jsonValue, textValue } from '../../../src/client/replay/attest.js';
import type { SealedMessage } from '../../../src/model/message.js';
import { putWorker } from '../../../src/store/processes/workers.js';
import { findStep } from '../../../src/store/runs/runs.js';
import {
  aroundExecution,
  bell,
  controller,
  countRecords,
  makeGoverned,
  operator,
  refusals,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';

// A worker with another key-encryption key than the one that sealed a run's values: nothing of the run is lost, and nothing is
// decided over values that nobody has read.

const inputSchema = { type: 'object', properties: { memo: { type: 'string' } } };
const executor = { kind: 'noop', output: { noted: true } };
const note = { target: 'a', tier: 'reversible', inputSchema, executor };
const gate = { roles: ['finance.controller'] };
const transitions = { note, gated: { ...note, gate } };
const notes = { owner: 'team', initialState: 'a', inputSchema, states: { a: { transitions } } };
const brief = { ...notes, timeout: '1s' };

let governed: Governed;
let foreign: ActivityDeps;
const told: string[] = [];
before(async () => {
  governed = await makeGoverned({
    'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
    'flows/notes.json': JSON.stringify({ workflows: { notes, brief } }),
  });
  const { pool, serviceChain } = governed.deps;
  foreign = makeDeps(pool, makePayloads({ kek: Buffer.alloc(32, 9) }), serviceChain, (what, error) =>
    told.push(`${what}: ${String(error)}`),
  );
});
after(() => governed.stop());

const memo = { memo: 'a text' };
const submit = (run: Handle, transition = 'note'): Promise<SealedMessage> =>
  run.ask(starter, { kind: 'submit', transition, expectedVersion: null }, [jsonValue('args', memo)]);
const cancel = (run: Handle): Promise<SealedMessage> =>
  run.ask(operator, { kind: 'cancel' }, [textValue('reason', 'no more')]);
/** The run's next step, in the worker that cannot read its values. */
async function elsewhere(
  run: Handle,
  arrivals: readonly Arrival[],
  gaveUp: string | null = null,
  hands = foreign,
): Promise<StepResult> {
  const { rev, docDigest } = await run.row();
  const input: StepInput = { run: run.id, rev: rev + 1, builtOn: docDigest, arrivals, gaveUp };
  return step(hands, input);
}
const shown = async (run: Handle): Promise<unknown[]> => {
  const { status, rev, problem } = await run.row();
  return [status, rev, problem?.code ?? null];
};
const waits = { status: 'waiting' };

describe('a worker whose key does not open a run', () => {
  it('begins no run and fails none: its start waits, is shown and told once, and begins it with its input', async () => {
    const start = await governed.recordStart('notes', memo);
    const run = governed.handle(start.run);
    told.length = 0;
    for (const gaveUp of [null, null, 'a step threw'])
      assert.deepEqual(await elsewhere(run, [bell(start)], gaveUp), waits);
    assert.deepEqual(await shown(run), ['stuck', 0, 'KEY_UNOPENED']);
    const { message = '', next = '' } = (await run.row()).problem ?? {};
    assert.match(
      message,
      /a worker cannot read .+`COUNTERSIGN_KEK` .+`keys\/kek`.+ under which this run was begun/,
    );
    assert.match(next, /goes on by itself once they open/);
    assert.equal(told.length, 1, told.join('\n'));
    assert.equal(await run.answerTo(start), null);
    await run.take(bell(start));
    assert.deepEqual(await shown(run), ['running', 1, null]);
    assert.deepEqual(run.state.input, memo);
    assert.deepEqual(await refusals(run), []);
  });

  it('refuses no submit, with its bell or without: it is done once the key opens', async () => {
    const run = await governed.start('notes');
    const sent = await submit(run);
    for (const arrival of [bell(sent), { kind: 'look' } as const])
      assert.deepEqual(await elsewhere(run, [arrival]), waits);
    assert.deepEqual(await shown(run), ['stuck', 1, 'KEY_UNOPENED']);
    assert.equal(await run.answerTo(sent), null);
    await run.take(bell(sent));
    assert.equal((await run.execute())?.status, 'executed');
    assert.deepEqual(await shown(run), ['running', run.rev, null]);
    assert.deepEqual(await refusals(run), []);
    assert.equal(await countRecords(run, 'run.stuck'), 0);
  });

  it('does not show a run as waiting whose step another worker has taken meanwhile', async () => {
    const run = await governed.start('notes', memo);
    const sent = await submit(run);
    told.length = 0;
    let connections = 0;
    const { pool } = foreign;
    const connect = async () => {
      connections += 1;
      // Its own try has failed by then.
      if (connections === 2) await run.take(bell(sent));
      return pool.connect();
    };
    const slow = { ...foreign, pool: Object.assign(Object.create(pool) as typeof pool, { connect }) };
    assert.deepEqual(await elsewhere(run, [bell(sent)], null, slow), waits);
    assert.deepEqual(await shown(run), ['running', 2, null]);
    assert.deepEqual(told, []);
  });

  it('leaves to a run that is stuck what it is stuck over, and says beside it that a retry waits', async () => {
    const run = await governed.start('notes', memo);
    await run.tryStep({ gaveUp: 'a bug' });
    await run.take({ kind: 'look' });
    const before = (await run.row()).problem;
    const retry = await run.ask(operator, { kind: 'retry' });
    told.length = 0;
    for (let tries = 0; tries < 3; tries += 1) assert.deepEqual(await elsewhere(run, [bell(retry)]), waits);
    const { status, problem } = await run.row();
    const { next = '', ...rest } = problem ?? assert.fail();
    assert.deepEqual([status, rest], ['stuck', { code: 'STEP_FAILED', message: before?.message }]);
    const also = `${before?.next ?? ''}; for now what the run is asked waits, since a worker cannot read `;
    assert.ok(next.startsWith(also) && next.split(also).length === 2, next);
    assert.equal(told.length, 1, told.join('\n'));
    await run.take(bell(retry));
    assert.deepEqual(await shown(run), ['running', run.rev, null]);
  });

  it('lets the time of a run do nothing until the key opens', async () => {
    const run = await governed.start('brief', memo);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.deepEqual(await elsewhere(run, [{ kind: 'time' }]), waits);
    assert.deepEqual(await shown(run), ['stuck', 1, 'KEY_UNOPENED']);
    await run.take({ kind: 'time' });
    assert.deepEqual(await shown(run), ['timed_out', 2, null]);
  });

  it('loses no decision over arguments that it cannot read', async () => {
    const run = await governed.start('notes');
    await run.submit(starter, 'gated', memo);
    const [{ id, action } = assert.fail()] = run.state.approvals;
    const decision = { kind: 'decide', approval: id, decision: 'approve', digest: action.digest } as const;
    const made = await run.ask(controller, { ...decision, reasonGiven: false });
    assert.deepEqual(await elsewhere(run, [bell(made)]), waits);
    await run.take(bell(made));
    await run.execute();
    assert.equal(await countRecords(run, 'executor.started'), 1);
  });

  it('takes a cancel all the same, before what waits, which is told that the run has ended', async () => {
    const run = await governed.start('notes', memo);
    const [sent, late] = [await submit(run), await submit(run)];
    const stop = await cancel(run);
    const done = await elsewhere(run, [bell(sent), bell(stop)]);
    assert.ok(done.status === 'stepped', JSON.stringify(done));
    assert.deepEqual([done.runStatus, done.left, done.given], ['cancelled', [0, 1], 2]);
    assert.equal((await run.answerTo(stop))?.status, 'accepted');
    for (const message of [sent, late]) {
      const answer = await run.answerTo(message);
      assert.equal(answer?.status === 'refused' && answer.code, 'RUN_CLOSED');
    }
    const again = await elsewhere(run, [bell(sent), bell(stop)]);
    assert.ok(again.status === 'stepped' && again.left.length === 0, JSON.stringify(again));
    const afterwards = await submit(run);
    await elsewhere(run, [bell(afterwards)]);
    const answer = await run.answerTo(afterwards);
    assert.equal(answer?.status === 'refused' && answer.code, 'RUN_CLOSED');
    assert.ok(!(await refusals(run)).includes('replayed'));
  });

  it('lets a run that has not begun be cancelled, which then never begins', async () => {
    const start = await governed.recordStart('notes', memo);
    const run = governed.handle(start.run);
    // It is signed, and comes from who may not cancel: the run, which would say so, has not begun.
    const strange = await run.ask(starter, { kind: 'cancel' }, [textValue('reason', 'mine')]);
    assert.deepEqual(await elsewhere(run, [bell(start)]), { status: 'waiting' });
    const stop = await cancel(run);
    // A history that knows of more than this store: a cancel ends nothing that may have been done.
    const ahead = { run: run.id, rev: 2, builtOn: 'sha256:other', arrivals: [bell(start)], gaveUp: null };
    assert.deepEqual(await step(foreign, ahead), { status: 'waiting' });
    const ended = await elsewhere(run, [bell(start)]);
    assert.deepEqual(ended, { status: 'refused', reason: 'closed' });
    assert.deepEqual(await elsewhere(run, [bell(start)]), ended);
    assert.deepEqual(await refusals(run), ['closed']);
    assert.equal((await run.answerTo(strange))?.status, 'refused');
    assert.equal(await countRecords(run, 'transition.requested'), 1);
    assert.deepEqual(await shown(run), ['failed', 0, 'KEY_UNOPENED']);
    assert.match(
      (await run.row()).problem?.message ?? '',
      /^the run was cancelled by `ops` before it began: /,
    );
    assert.equal((await run.answerTo(stop))?.status, 'accepted');
  });

  it('tells a decision and another cancel that waited what the cancel has made of them', async () => {
    const run = await governed.start('notes');
    await run.submit(starter, 'gated', memo);
    const [{ id, action } = assert.fail()] = run.state.approvals;
    const decision = { kind: 'decide', approval: id, decision: 'approve', digest: action.digest } as const;
    const made = await run.ask(controller, { ...decision, reasonGiven: false });
    const [stop, other] = [await cancel(run), await cancel(run)];
    const done = await elsewhere(run, [bell(made), bell(other)]);
    assert.ok(done.status === 'stepped' && done.runStatus === 'cancelled', JSON.stringify(done));
    assert.equal((await run.answerTo(stop))?.status, 'accepted');
    const told = [await run.answerTo(made), await run.answerTo(other)];
    assert.deepEqual(
      told.map((answer) => answer?.status === 'refused' && answer.code),
      ['APPROVAL_REVOKED', 'RUN_CLOSED'],
      JSON.stringify(told),
    );
  });

  it('ends a run that was cancelled while its effect could not be begun', async () => {
    const run = await governed.start('notes');
    const sent = await submit(run);
    await run.take(bell(sent));
    const { executing } = await run.row();
    const stop = await cancel(run);
    const asked = await elsewhere(run, [bell(stop)]);
    assert.ok(asked.status === 'stepped' && asked.cancelling, JSON.stringify(asked));
    const more = await submit(run);
    const abandoned = { kind: 'abandoned', action: executing ?? '', reason: 'cancelled' } as const;
    const done = await elsewhere(run, [bell(more), abandoned]);
    assert.ok(done.status === 'stepped' && done.runStatus === 'cancelled', JSON.stringify(done));
    const answer = await run.answerTo(more);
    assert.equal(answer?.status === 'refused' && answer.code, 'RUN_CLOSED');
    assert.equal(await countRecords(run, 'executor.started'), 0);
  });

  it('gives no effect up, however often it is tried: it runs where the key opens', async () => {
    const run = await governed.start('notes');
    await run.take(bell(await submit(run)));
    const { executing, namespace } = await run.row();
    const hands = makeActivities(foreign, 'here');
    const attempt = (tries: number) =>
      assert.rejects(
        asyncLocalStorage.run(contextOf(run.id, namespace, tries), () =>
          hands.execute({ run: run.id, action: executing ?? '' }),
        ),
        (error: Error) => error.constructor.name === 'PayloadKeyUnopened',
      );
    await attempt(1);
    assert.deepEqual(await shown(run), ['running', run.rev, null]);
    for (const tries of [2, 3, 4, 5]) await attempt(tries);
    assert.deepEqual(await shown(run), ['stuck', run.rev, 'KEY_UNOPENED']);
    // Begun where the key opens, and its call is under way.
    const pid = 'svc_there';
    await putWorker(governed.deps.pool, { id: pid, environments: [], unset: [] });
    const input = { run: run.id, action: executing ?? '' };
    const around = { ...aroundExecution('test', pid), isLate: () => true };
    await assert.rejects(execute(governed.deps, input, around), /was not made/);
    assert.deepEqual(await shown(run), ['running', run.rev, null]);
    await attempt(6);
    assert.deepEqual(await shown(run), ['running', run.rev, null]);
    const { status } = await execute(governed.deps, input, aroundExecution('test', pid));
    assert.equal(status, 'stepped');
    assert.deepEqual(await shown(run), ['running', run.rev + 1, null]);
    assert.ok((await findStep(governed.deps.pool, run.id, `outcome:${executing ?? ''}`)) !== null);
  });
});

/** As Temporal calls an activity of the run's own workflow for the nth time. */
function contextOf(run: string, workflowNamespace: string, attempt: number): Context {
  const info = { isLocal: false, workflowType: 'run', workflowExecution: { workflowId: run, runId: 'r' } };
  return Object.assign(Object.create(Context.prototype) as Context, {
    info: { ...info, workflowNamespace, attempt, activityId: '1' } as unknown as Info,
    heartbeat: () => undefined,
    cancelled: new Promise<never>(() => undefined),
  });
}
