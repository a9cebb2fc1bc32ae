import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { withTransaction } from '../../../src/db/index.js';
import { showUnstepped } from '../../../src/store/runs/runs.js';
import {
  bell,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';

// A run that was left to another deployment is shown as stuck, and its document knows nothing of it.

const flows = `
workflows:
  f:
    owner: team
    environment: dev
    initialState: a
    states:
      a:
        transitions:
          go: { target: b }
      b:
        transitions:
          go: { target: c, actor: deterministic, guards: [{ kind: permission, permission: never }] }
      c: { terminal: true }
`;

let governed: Governed;
before(async () => {
  governed = await makeGoverned({
    'flows/f.yaml': flows,
    'environments.yaml': 'environments: { dev: {} }\n',
  });
});
after(() => governed.stop());

const left = { code: 'HISTORY_FORKED', message: 'another deployment has it', next: 'ask that one' } as const;
const leave = (run: Handle): Promise<boolean> =>
  withTransaction(governed.deps.pool, (tx) => showUnstepped(tx, run.id, { status: 'stuck', problem: left }));

it('a run that was left to another deployment is shown as its document has it once its workflow looks at the store', async () => {
  const run = await governed.start('f');
  const before = await run.row();
  assert.notEqual(before.status, 'stuck');
  assert.deepEqual([await leave(run), await leave(run)], [true, false]);
  assert.deepEqual([(await run.row()).status, (await run.row()).problem], ['stuck', left]);
  const { rev, runStatus } = await run.take();
  assert.deepEqual([rev, runStatus], [before.rev, before.status]);
  assert.deepEqual({ ...(await run.row()), updatedAt: '' }, { ...before, updatedAt: '' });
});

it('one that was stuck before is stuck on that again, with what to do', async () => {
  const run = await governed.start('f');
  await run.submit(starter, 'go');
  const before = await run.row();
  assert.deepEqual([before.status, typeof before.problem?.next], ['stuck', 'string']);
  await leave(run);
  await run.take();
  const { status, problem } = await run.row();
  assert.deepEqual([status, problem], ['stuck', before.problem]);
});

it('one that has ended is shown as it ended, whatever it was to be left to', async () => {
  const run = await governed.start('f');
  await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
  assert.equal(await leave(run), false);
  assert.equal((await run.row()).status, 'cancelled');
});
