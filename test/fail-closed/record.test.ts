// Mostly waits: for the time-out of a record's write.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe } from 'node:test';
import pg from 'pg';
import type { Arrival } from '../../src/activities/types.js';
import { bellOf } from '../../src/auth/index.js';
import { jsonValue } from '../../src/client/replay/attest.js';
import { withTransaction } from '../../src/db/index.js';
import { newId } from '../../src/model/names/ids.js';
import type { SealedMessage, SignedBody, SignedMessage } from '../../src/model/message.js';
import { closeUnstarted } from '../../src/store/runs/runs.js';
import { readSignal } from '../../src/workflows/bell.js';
import { undecodable, payloadConverter } from '../../src/workflows/payload-converter.js';
import { makeWorld, type World } from '../executors/world.js';
import { failClosed } from './support/cells.js';
import {
  bell,
  contentOf,
  countRecords,
  makeGoverned,
  refusals,
  resealed,
  starter,
  store,
  type Governed,
  type Handle,
} from './support/governed.js';
import { runPolicies } from './support/run-policies.js';

// What arrives at a run, what it is checked against, and the record without which nothing happens.

describe('a policy check', () => {
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

  const submitBody: SignedBody = { kind: 'submit', transition: 'fine', expectedVersion: null };
  const noArguments = [jsonValue('args', {})];

  /** Refused as a message, on record with the reason, and nothing else has happened. */
  const refusesMessage = async (
    reason: string,
    arrivalOf: (run: Handle) => Arrival | Promise<Arrival>,
  ): Promise<Handle> => {
    const run = await governed.start('calls');
    const before = run.state;
    await run.take(await arrivalOf(run));
    assert.deepEqual(run.state, before);
    assert.deepEqual(await refusals(run), [reason]);
    return run;
  };
  const ask = (run: Handle): Promise<SealedMessage> => run.ask(starter, submitBody, noArguments);
  /** Whoever waits for an answer to it is told that it was refused, and it is never taken again. */
  const refusesKept = async (
    reason: string,
    keptOf: (run: Handle) => SealedMessage | Promise<SealedMessage>,
  ): Promise<void> => {
    let kept: SealedMessage | null = null;
    const run = await refusesMessage(reason, async (each) => bell((kept = await keptOf(each))));
    assert.ok(kept !== null);
    assert.match(
      JSON.stringify(await run.answerTo(kept)),
      /"refused","code":"INTERNAL".*refused the message/,
    );
    await run.take({ kind: 'look' });
    assert.deepEqual(await refusals(run), [reason]);
  };
  /** The run's own message, changed and kept under another id, whoever signed it. */
  const kept = async (
    run: Handle,
    change: Partial<SignedMessage>,
    with_: Partial<SealedMessage> = {},
    keys: Pick<Governed['keys'], 'signing'> = governed.keys,
  ): Promise<SealedMessage> => {
    const sealed = { ...resealed(keys, await ask(run), { id: newId('msg'), ...change }), ...with_ };
    await store(governed, sealed);
    return sealed;
  };

  failClosed('message', {
    error: async () => {
      const other = await governed.start('calls');
      await refusesMessage('wrong_run', async () => bell(await ask(other)));
      await refusesKept('wrong_run', (run) => kept(run, { run: other.id }, { run: run.id }));
      await refusesKept('wrong_run', (run) => kept(run, { environment: 'prod' }));
      await refusesKept('bad_signature', (run) => {
        const { privateKey } = generateKeyPairSync('ed25519');
        return kept(run, {}, {}, { signing: { ...governed.keys.signing, privateKey } });
      });
      await refusesMessage('unsigned', async (run) =>
        readSignal('submit', bellOf(await run.ask(starter, { kind: 'cancel' }))),
      );
    },
    timeout: async () => {
      const run = await governed.start('calls');
      const sent = await run.ask(starter, { ...submitBody, transition: 'nowhere' }, noArguments);
      for (let times = 0; times < 3; times += 1) await run.take(bell(sent));
      assert.deepEqual(await refusals(run), ['replayed'], 'recorded once, however often it comes');
      assert.equal(await countRecords(run, 'transition.rejected'), 1);
    },
    missing: async () => {
      await refusesMessage('unsigned', async (run) => {
        const { id, kind, digest } = await ask(run);
        return readSignal('submit', { id, kind, digest });
      });
      await refusesMessage('unknown_message', async (run) => {
        const { bell: named } = bell(await ask(run));
        return { kind: 'message', bell: { ...named, id: newId('msg') } };
      });
    },
    malformed: async () => {
      await refusesMessage('undecodable', () => readSignal('submit', undecodable));
      await refusesMessage('unsigned', () => readSignal('submit', ['a list']));
      await refusesMessage('unsigned', async (run) =>
        readSignal('submit', { ...bellOf(await ask(run)), signature: 7 }),
      );
      await refusesKept('undecodable', (run) =>
        run.ask(starter, submitBody, [{ role: 'args', media: 'application/json', text: '{"half":' }]),
      );
      await refusesKept('undecodable', (run) => run.ask(starter, submitBody, [jsonValue('args', [1])]));
    },
    empty: async () => {
      await refusesMessage('undecodable', () => readSignal('submit', null));
      await refusesMessage('unsigned', () => readSignal('submit', {}));
      await refusesKept('undecodable', (run) => run.ask(starter, submitBody));
    },
  });

  const text = new TextEncoder();
  const decoded = (encoding: string, data: string): unknown =>
    payloadConverter.fromPayload({ metadata: { encoding: text.encode(encoding) }, data: text.encode(data) });

  failClosed('message.payload', {
    error: () => assert.equal(decoded('json/plain', `${'['.repeat(200)}${']'.repeat(200)}`), undecodable),
    missing: () => assert.equal(payloadConverter.fromPayload({}), undecodable),
    malformed: () => {
      assert.equal(decoded('json/plain', '{"half":'), undecodable);
      assert.equal(decoded('binary/by-nobody', '{}'), undecodable);
    },
    empty: () => assert.equal(decoded('json/plain', ''), undecodable),
  });

  /** The start is refused: there is no run, and the service's chain says so. */
  const refusesStart = async (
    arrivalOf: (start: SealedMessage, run: Handle) => Arrival | Promise<Arrival>,
    reason: string,
  ): Promise<void> => {
    const start = await governed.recordStart('calls');
    const run = governed.handle(start.run);
    const result = await run.tryTo(await arrivalOf(start, run));
    assert.deepEqual(result, { status: 'refused', reason });
    assert.deepEqual(
      (await run.records()).map((record) => [record.type, record.data['reason']]),
      [['message.refused', reason]],
    );
    assert.equal((await run.row()).rev, 0);
  };
  const otherStart = async (start: SealedMessage, change: object): Promise<Arrival> => {
    const { body } = contentOf(start);
    const other = resealed(governed.keys, start, {
      id: newId('msg'),
      body: { ...body, ...change } as SignedBody,
    });
    await store(governed, other);
    return bell(other);
  };

  failClosed('message.start', {
    error: async () => {
      await refusesStart((start) => otherStart(start, { mode: 'shadow' }), 'wrong_run');
      await refusesStart((start) => otherStart(start, { planHash: 'sha256:other' }), 'wrong_run');
      await refusesStart((start) => otherStart(start, { flow: 'another' }), 'wrong_run');
    },
    timeout: () =>
      refusesStart(async (start) => {
        assert.ok(await withTransaction(governed.deps.pool, (tx) => closeUnstarted(tx, start.run)));
        return bell(start);
      }, 'withdrawn'),
    missing: () => refusesStart(async (_start, run) => bell(await ask(run)), 'unsigned'),
    malformed: () =>
      refusesStart((start) => {
        const { bell: named } = bell(start);
        return { kind: 'message', bell: { ...named, signature: 'AAAA' } };
      }, 'bad_signature'),
    empty: () =>
      refusesStart((start) => {
        const { bell: named } = bell(start);
        return { kind: 'message', bell: { ...named, id: newId('msg') } };
      }, 'unknown_message'),
  });

  /** The check itself cannot be made: it fails as a whole, and the run is as it was. */
  const cannotDecide = async (
    change: (run: Handle) => Promise<unknown>,
    says: RegExp,
    undo?: string,
  ): Promise<void> => {
    const run = await governed.start('calls');
    const records = await run.records();
    await change(run);
    try {
      const asked = await run.ask(starter, { ...submitBody, transition: 'command' }, noArguments);
      await assert.rejects(run.tryTo(bell(asked)), says);
    } finally {
      if (undo !== undefined) await governed.database.asSuperuser(undo);
    }
    assert.deepEqual(await run.records(), records);
    const { rows } = await governed.database.asSuperuser('select rev from run where id = $1', [run.id]);
    assert.deepEqual(
      rows.map((row: { rev: unknown }) => Number(row.rev)),
      [run.rev],
    );
  };
  const sql = (statement: string) => (): Promise<unknown> => governed.database.asSuperuser(statement);
  const onRun = (assignment: string) => (run: Handle) =>
    governed.database.asSuperuser(`update run set ${assignment} where id = $1`, [run.id]);

  /** Store and history tell of two pasts: the run is stuck, on record, and what arrived is still there to be answered. */
  const forks = async (change: (run: Handle) => Promise<unknown>): Promise<void> => {
    const run = await governed.start('calls');
    const asked = await ask(run);
    await change(run);
    const forked = await run.take(bell(asked));
    assert.deepEqual([forked.isForked, forked.left, forked.execution], [true, [0], null]);
    assert.deepEqual([run.state.status, run.state.problem?.code], ['stuck', 'HISTORY_FORKED']);
    const stuck = (await run.records()).filter(({ type }) => type === 'run.stuck');
    assert.deepEqual(
      stuck.map(({ data }) => data['code']),
      ['HISTORY_FORKED'],
    );
    assert.equal(await run.answerTo(asked), null);
    await run.take(bell(asked));
    assert.match(JSON.stringify(await run.answerTo(asked)), /RUN_STUCK/);
    assert.equal(await countRecords(run, 'action.executing'), 0);
  };

  failClosed('run.history', {
    error: async () => {
      await forks(onRun('rev = rev + 1, version = 7'));
      await forks(async (run) => {
        const { rev, digest } = await run.take({ kind: 'garbage', name: 'x', reason: 'unsigned' });
        const given = { rev, builtOn: 'sha256:another past', arrivals: [] };
        const forked = await run.tryStep(given);
        assert.ok(forked.status === 'stepped' && forked.isForked && forked.digest !== digest);
      });
    },
    malformed: () => forks(onRun(`doc = jsonb_set(doc::jsonb, '{context}', '{"seen": 1}')::text`)),
    missing: async () => {
      const run = governed.handle('run_of_nobody');
      const other = await governed.start('calls');
      const result = await run.tryTo(bell(await ask(other)));
      assert.deepEqual(result, { status: 'refused', reason: 'wrong_run' });
      assert.equal(await countRecords(run, 'message.refused'), 1);
    },
  });

  const forgePlan = (body: string) => async (run: Handle) => {
    const hash = `sha256:forged ${run.id}`;
    await governed.database.pool.query('insert into plan (hash, body) values ($1, $2)', [hash, body]);
    await onRun(`plan_hash = '${hash}'`)(run);
  };

  failClosed('plan', {
    error: () => cannotDecide(forgePlan('{"v":1,"states":[]}'), /was changed: its text has another hash/),
    missing: () =>
      cannotDecide(
        (run) =>
          governed.database.asSuperuser(
            `set session_replication_role = replica; update run set plan_hash = 'sha256:none' where id = '${run.id}'`,
          ),
        /is not in the store/,
      ),
    malformed: () => cannotDecide(forgePlan('{"half":'), /was changed/),
    empty: () => cannotDecide(forgePlan(''), /was changed/),
  });

  const forgeSet = (body: string) => () =>
    governed.database.pool.query(`insert into policy_set (hash, body) values ('sha256:forged', $1)`, [body]);
  const goodSet =
    'insert into policy_set (hash, body) select hash, body from policy_set order by seq limit 1';

  failClosed('policies.set', {
    error: () => cannotDecide(forgeSet('{"policySet":{"roles":[]}}'), /was changed/, goodSet),
    malformed: () => cannotDecide(forgeSet('{"half":'), /was changed/, goodSet),
    empty: () => cannotDecide(forgeSet(''), /was changed/, goodSet),
  });

  failClosed('audit.write', {
    error: () =>
      cannotDecide(
        sql('revoke insert on audit_record from countersign_app'),
        /permission denied/,
        'grant insert on audit_record to countersign_app',
      ),
    timeout: async () => {
      const run = await governed.start('calls');
      const asked = await ask(run);
      const records = await run.records();
      const holder = new pg.Client({ connectionString: governed.database.url });
      await holder.connect();
      await holder.query('begin');
      await holder.query('lock table audit_record in access exclusive mode');
      try {
        assert.deepEqual(await run.tryTo(bell(asked)), { status: 'waiting' });
        assert.equal((await run.row()).rev, run.rev);
        assert.equal(await run.answerTo(asked), null);
      } finally {
        await holder.query('rollback');
        await holder.end();
      }
      assert.deepEqual(await run.records(), records);
      await run.take(bell(asked));
      assert.equal(run.state.executing?.action.transition, 'fine', 'the same step, later');
    },
    missing: () =>
      cannotDecide(
        sql('alter table audit_chain rename to gone'),
        /does not exist/,
        'alter table gone rename to audit_chain',
      ),
  });
});
