import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { withTransaction } from '../../src/db/index.js';
import { makeWorld, type World } from '../executors/world.js';
import { failClosed } from './support/cells.js';
import {
  controller,
  countRecords,
  makeGoverned,
  starter,
  type Governed,
  type Handle,
} from './support/governed.js';
import { runPolicies } from './support/run-policies.js';

// From the policy check to the effect, on a real Postgres and against real targets.

describe('what would run', () => {
  let world: World;
  let governed: Governed;
  before(async () => {
    world = await makeWorld();
    governed = await makeGoverned(runPolicies(world.url));
  });
  after(async () => {
    await governed.stop();
    await world.close();
  });

  /** The call failed with the class: the run is where it was, and attempt and answer are on record. */
  const fails = async (
    transition: string,
    errorClass: string,
    record = 'executor.failed',
  ): Promise<Handle> => {
    const run = await governed.start('calls');
    await run.submit(starter, transition);
    const { context, version } = run.state;
    const said = await run.execute();
    assert.ok(said?.status === 'refused', JSON.stringify(said));
    assert.deepEqual([said.code, said.errorClass], ['EXECUTOR_FAILED', errorClass]);
    assert.deepEqual([run.state.context, run.state.version, run.state.state], [context, version, 'a']);
    assert.equal(await countRecords(run, record), 1);
    assert.equal(await countRecords(run, 'executor.started'), 1);
    return run;
  };

  failClosed('executor.rest', {
    error: async () => {
      await fails('fails', 'transient');
      await fails('forbids', 'auth');
      await fails('limits', 'rate_limited');
      await fails('moves', 'permanent');
    },
    timeout: async () => void (await fails('hangs', 'timeout')),
    missing: async () => void (await fails('drops', 'connection')),
    malformed: async () => void (await fails('garbles', 'unknown_outcome', 'executor.unknown')),
  });

  failClosed('executor.answer', {
    malformed: async () => void (await fails('nests', 'unknown_outcome', 'executor.unknown')),
  });
  failClosed('executor.mcp', { error: async () => void (await fails('tool', 'transient')) });
  failClosed('executor.cli', { error: async () => void (await fails('command', 'permanent')) });

  /** The effect happened and what it answered is refused: the run stays, and both are on record. */
  const refusesOutput = async (transition: string, isUnknown = false): Promise<void> => {
    const run = await fails(transition, isUnknown ? 'unknown_outcome' : 'permanent', 'executor.succeeded');
    const rejected = (await run.records()).filter((one) => one.type === 'transition.rejected');
    assert.deepEqual(
      rejected.map((one) => one.data['code']),
      [isUnknown ? 'EXECUTOR_UNKNOWN' : 'EXECUTOR_FAILED'],
    );
    assert.equal(await countRecords(run, 'evidence.recorded'), 0);
    assert.equal(run.state.status, isUnknown ? 'stuck' : 'running');
  };

  failClosed('submit.output', {
    missing: async () => {
      await refusesOutput('lacks');
      await refusesOutput('loses', true);
    },
    malformed: () => refusesOutput('unfit'),
    empty: () => refusesOutput('silent'),
  });

  failClosed('connection', {
    missing: async () => {
      const sent = world.seen.length;
      await fails('unset', 'permanent');
      assert.equal(world.seen.length, sent);
    },
  });

  failClosed('address', {
    error: async () => {
      const sent = world.seen.length;
      await fails('private', 'permanent');
      assert.equal(world.seen.length, sent);
    },
  });

  /** A payment that a human has approved, and that has not begun. */
  const approved = async (): Promise<Handle> => {
    const run = await governed.start('calls');
    await run.submit(starter, 'pay');
    const [approval] = run.state.approvals;
    assert.ok(approval !== undefined);
    await run.decide(controller, approval.id, 'approve');
    assert.ok(run.state.executing !== null);
    return run;
  };

  /** Something is not what was checked and approved: nothing is sent, and the refusal is on record. */
  const refusesToRun = async (change: (run: Handle) => Promise<unknown>, says: RegExp): Promise<void> => {
    const run = await approved();
    await change(run);
    const sent = world.seen.length;
    await run.execute();
    assert.equal(world.seen.length, sent, 'nothing was sent');
    assert.equal(run.state.version, 0);
    assert.equal(await countRecords(run, 'run.transitioned'), 0);
    const failed = (await run.records()).filter((one) => one.type === 'executor.failed');
    assert.equal(failed.length, 1);
    assert.match(String(failed[0]?.data['message']), says);
    assert.equal(await countRecords(run, 'executor.started'), 0);
  };
  const inDoc = (path: string, value: string) => (run: Handle) =>
    governed.database.asSuperuser(
      // With the digest that fits it: what stands beside a document proves nothing.
      `with changed as (select jsonb_set(doc::jsonb, $1::text[], $2::jsonb)::text as doc from run where id = $3)
       update run set doc = changed.doc, doc_digest = 'sha256:' || encode(sha256(convert_to(changed.doc, 'UTF8')), 'hex')
         from changed where id = $3`,
      [path, value, run.id],
    );

  /** The action holds other arguments, in a payload of the run that is what the document says of it. */
  const otherArguments = async (run: Handle): Promise<void> => {
    const { deps } = governed;
    const text = '{"amount":1000000}';
    const payload = await withTransaction(deps.pool, (tx) =>
      deps.payloads.put(tx, run.id, 'args', 'application/json', text),
    );
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    await inDoc('{executing,action,held}', JSON.stringify({ payload, digest }))(run);
  };

  failClosed('digest.execution', {
    error: () => refusesToRun(otherArguments, /is not what was checked/),
    missing: () => refusesToRun(inDoc('{approvals}', '[]'), /approval that this action names does not exist/),
    malformed: () =>
      refusesToRun(inDoc('{executing,action,digest}', '"not a digest"'), /is not what was checked/),
    empty: () => refusesToRun(inDoc('{executing,action,digest}', '""'), /is not what was checked/),
  });

  /** Another plan of the store stands beside the run's document: the one that it had, changed, with the hash that fits it. */
  const besideDoc = async (
    { database }: Governed,
    run: Handle,
    change: (name: string, value: unknown) => unknown,
  ): Promise<void> => {
    const { rows } = await database.pool.query<{ hash: string; body: string }>(
      'select p.hash, p.body from plan p join run r on r.plan_hash = p.hash where r.id = $1',
      [run.id],
    );
    const [plan] = rows;
    assert.ok(plan !== undefined);
    const body = JSON.stringify(JSON.parse(plan.body, change));
    const hash = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    assert.notEqual(hash, plan.hash);
    await database.pool.query('insert into plan (hash, body) values ($1, $2)', [hash, body]);
    await database.pool.query('update run set plan_hash = $1 where id = $2', [hash, run.id]);
  };
  const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
  const otherPath = inDoc('{executing,executor,path,parts}', '["/status/200"]');

  /** What was approved, by another plan, which says another call. */
  const otherCall = async (run: Handle): Promise<void> => {
    await besideDoc(governed, run, (name, value) =>
      name === 'path' && isObject(value) ? { ...value, parts: ['/status/200'] } : value,
    );
    await otherPath(run);
  };

  /** What waits for people, by a plan which asks for nobody, and stands beside the document. */
  const refusesWithoutFloor = async (
    lower: (at: Governed, run: Handle) => Promise<unknown>,
  ): Promise<void> => {
    const floored = await makeGoverned({
      ...runPolicies(world.url),
      'environments.yaml':
        'environments: { dev: { gates: [{ tiers: [irreversible], roles: [finance.controller], timeout: { after: 1d } }] } }\n',
      'flows/pays.yaml': `
workflows:
  pays:
    owner: team
    initialState: a
    states:
      a:
        transitions:
          pay: { target: done, tier: irreversible, executor: { kind: rest, connection: world, method: POST, path: /echo, idempotencyKey: true } }
      done: { terminal: true }
`,
    });
    try {
      const run = await floored.start('pays');
      await lower(floored, run);
      const sent = world.seen.length;
      await run.submit(starter, 'pay');
      const said = await run.execute();
      assert.ok(said?.status === 'refused', JSON.stringify(said));
      assert.equal(world.seen.length, sent, 'nothing was sent');
      const failed = (await run.records()).filter((one) => one.type === 'executor.failed');
      assert.match(String(failed[0]?.data['message']), /not what the run's plan says/);
      assert.equal(await countRecords(run, 'executor.started'), 0);
    } finally {
      await floored.stop();
    }
  };

  failClosed('plan.execution', {
    error: async () => {
      await refusesToRun(otherPath, /not what the run's plan says/);
      await refusesToRun(otherCall, /not what the run's plan says/);
      await refusesWithoutFloor((at, run) =>
        besideDoc(at, run, (_name, value) =>
          isObject(value) && 'name' in value && value.name === 'pay'
            ? { ...value, tier: 'reversible', gates: [] }
            : value,
        ),
      );
      await refusesToRun(
        (run) => governed.database.pool.query(`update run set environment = 'open' where id = $1`, [run.id]),
        /not what the run's plan says/,
      );
    },
    // The digest names the state, so that it is what says so.
    missing: () => refusesToRun(inDoc('{state}', '"gone"'), /not what was checked and approved/),
    malformed: () =>
      refusesToRun(inDoc('{executing,executor,kind}', '"noop"'), /not what the run's plan says/),
    empty: () => refusesToRun(inDoc('{executing,executor}', '{}'), /not what the run's plan says/),
  });

  const inGrant = (assignment: string) => (run: Handle) =>
    governed.database.asSuperuser(`update execution_grant set ${assignment} where run = $1`, [run.id]);

  failClosed('grant', {
    error: () => refusesToRun(inGrant('consumed_at = now()'), /no unused grant for its digest \(already\)/),
    missing: () =>
      refusesToRun(
        (run) => governed.database.asSuperuser('delete from execution_grant where run = $1', [run.id]),
        /\(missing\)/,
      ),
    malformed: () => refusesToRun(inGrant(`digest = 'not a digest'`), /\(mismatch\)/),
    empty: () => refusesToRun(inGrant(`digest = ''`), /\(mismatch\)/),
  });
});
