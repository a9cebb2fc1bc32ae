import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, mock } from 'node:test';
import type { Arrival } from '../../src/activities/types.js';
import { storeTime } from '../../src/db/index.js';
import {
  contentOf,
  controller,
  makeGoverned,
  starter,
  type Governed,
  type Handle,
} from '../fail-closed/support/governed.js';

// What is due, and when a run's record says that it happened, is the store's to say: no process is taken at its clock's word.

const flows = `
workflows:
  f:
    owner: team
    timeout: 1h
    initialState: a
    states:
      a:
        transitions:
          passes: { target: a, tier: reversible, executor: { kind: noop }, gate: { timeout: { after: 30m, action: approve } } }
          ends: { target: a, tier: reversible, executor: { kind: noop }, gate: { timeout: { after: 30m } } }
`;
const hour = 3_600_000;
let governed: Governed;
before(async () => {
  governed = await makeGoverned({ 'flows/f.yaml': flows });
});
after(() => governed.stop());
afterEach(() => mock.timers.reset());

/** This process believes that it is so much later. */
function skew(ms: number): void {
  mock.timers.reset();
  mock.timers.enable({ apis: ['Date'], now: Date.now() + ms });
}

async function parked(transition: string): Promise<Handle> {
  const run = await governed.start('f');
  await run.submit(starter, transition);
  return run;
}

const now = async (): Promise<number> => Date.parse(await storeTime(governed.deps.pool));
const timesOf = async ({ id }: Handle): Promise<number[]> => {
  const { rows } = await governed.deps.pool.query<{ body: Buffer }>(
    'select body from audit_record where run = $1 order by seq',
    [id],
  );
  return rows.map(({ body }) => Date.parse((JSON.parse(body.toString('utf8')) as { time: string }).time));
};

describe('a worker whose clock is two hours ahead', () => {
  for (const kind of ['time', 'look'] as const satisfies readonly Arrival['kind'][])
    it(`lets nothing pass, expire or time out before its time (${kind})`, async () => {
      for (const transition of ['passes', 'ends']) {
        const run = await parked(transition);
        skew(2 * hour);
        await run.tryTo({ kind });
        const row = await run.row();
        assert.deepEqual([row.status, row.state], ['waiting', 'a']);
        assert.deepEqual(
          run.state.approvals.map((approval) => approval.status),
          ['open'],
        );
        mock.timers.reset();
      }
    });

  it('dates nothing ahead, and counts the time of a gate from when it opened', async () => {
    skew(2 * hour);
    const run = await parked('ends');
    const [approval] = run.state.approvals;
    assert.ok(approval !== undefined);
    const left = approval.expiresAt - (await now());
    assert.ok(left > hour / 4 && left <= hour / 2, String(left));
    await run.decide(controller, approval.id, 'approve');
    await run.execute();
    const latest = await now();
    for (const time of await timesOf(run)) assert.ok(time <= latest, new Date(time).toISOString());
    const row = await run.row();
    assert.ok(Date.parse(row.updatedAt) <= latest && Date.parse(row.startedAt) <= latest);
  });
});

describe('an API whose clock is two hours behind', () => {
  it('does not date a decision before the end of its gate', async () => {
    const run = await parked('ends');
    const before = await now();
    skew(-2 * hour);
    const { id, action } = run.state.approvals[0] ?? assert.fail();
    const body = { kind: 'decide', approval: id, decision: 'approve', digest: action.digest } as const;
    const sealed = await run.ask(controller, { ...body, reasonGiven: false });
    assert.ok(Date.parse(contentOf(sealed).time) >= before);
  });
});
