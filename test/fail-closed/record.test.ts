import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe } from 'node:test';
import pg from 'pg';
import { signMessage } from '../../src/auth/index.js';
import type { MessageBody } from '../../src/model/message.js';
import { undecodable, payloadConverter } from '../../src/workflows/payload-converter.js';
import { makeWorld, type World } from '../executors/world.js';
import { until } from '../support/flows.js';
import { failClosed } from './cells.js';
import { countRecords, makeGoverned, makeHandle, starter, type Governed, type Handle } from './governed.js';
import { runPolicies } from './run-policies.js';

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

  const submitBody: MessageBody = {
    kind: 'submit',
    transition: 'fine',
    arguments: {},
    expectedVersion: null,
  };

  /** Refused as a message, on record with the reason, and nothing else has happened. */
  const refusesMessage = async (reason: string, raw: (run: Handle) => unknown): Promise<void> => {
    const run = await governed.start('calls');
    const before = { ...run.state, seen: [] };
    const result = await run.take({ kind: 'message', name: 'submit', raw: raw(run) });
    assert.deepEqual(result.taken, [{ kind: 'refused', reason }]);
    assert.deepEqual({ ...run.state, seen: [] }, before);
    const records = (await run.records()).filter((one) => one.type === 'message.refused');
    assert.deepEqual(
      records.map((one) => one.data['reason']),
      [reason],
    );
  };

  failClosed('message', {
    error: async () => {
      await refusesMessage('wrong_run', (run) =>
        makeHandle(governed.deps, governed.keys, `${run.id}0`).sign(starter, submitBody),
      );
      await refusesMessage('bad_signature', (run) => {
        const { privateKey } = generateKeyPairSync('ed25519');
        const forged = { ...governed.keys, signing: { ...governed.keys.signing, privateKey } };
        return makeHandleSigned(forged, run, submitBody);
      });
      const run = await governed.start('calls');
      const raw = run.sign(starter, { kind: 'cancel' });
      await run.take({ kind: 'message', name: 'submit', raw });
      assert.equal(await countRecords(run, 'message.refused'), 1);
    },
    timeout: async () => {
      const run = await governed.start('calls');
      const raw = run.sign(starter, { ...submitBody, transition: 'nowhere' });
      await run.take({ kind: 'message', name: 'submit', raw });
      await run.take({ kind: 'message', name: 'submit', raw });
      const [replayed] = (await run.records()).filter((one) => one.type === 'message.refused');
      assert.equal(replayed?.data['reason'], 'replayed');
      assert.equal(await countRecords(run, 'transition.rejected'), 1);
    },
    missing: () => refusesMessage('unsigned', (run) => ({ message: run.sign(starter, submitBody).message })),
    malformed: async () => {
      await refusesMessage('undecodable', () => undecodable);
      await refusesMessage('undecodable', () => ['a list']);
      await refusesMessage('bad_signature', (run) => ({ ...run.sign(starter, submitBody), signature: 7 }));
    },
    empty: async () => {
      await refusesMessage('undecodable', () => null);
      await refusesMessage('unsigned', () => ({}));
    },
  });

  const makeHandleSigned = (keys: Governed['keys'], run: Handle, body: MessageBody): unknown => {
    const { message } = run.sign(starter, body);
    return signMessage(keys, message);
  };

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
    change: (raw: Record<string, unknown>, run: string) => unknown,
    reason: string,
  ): Promise<void> => {
    const attested = await governed.recordStart('calls');
    const run = makeHandle(governed.deps, governed.keys, attested.message.run);
    const raw = await change({ ...attested }, run.id);
    const result = await run.tryTo({ kind: 'start', raw });
    assert.deepEqual(result, { status: 'refused', reason });
    const records = await run.records();
    assert.deepEqual(
      records.map((one) => [one.type, one.data['reason']]),
      [['message.refused', reason]],
    );
  };

  failClosed('message.start', {
    error: () =>
      refusesStart((raw) => {
        const { message } = raw as { message: { body: object } };
        const other = { ...message, body: { ...message.body, mode: 'shadow' } };
        return signMessage(governed.keys, other as never);
      }, 'wrong_run'),
    timeout: () =>
      refusesStart(async (raw, run) => {
        await governed.database.asSuperuser(`update run set status = 'failed' where id = $1`, [run]);
        return raw;
      }, 'withdrawn'),
    missing: () => refusesStart(({ message }) => ({ message }), 'unsigned'),
    malformed: () =>
      refusesStart(() => ({ message: { kind: 'human' }, keyId: 'none', signature: 'AAAA' }), 'bad_signature'),
    empty: () => refusesStart(() => null, 'undecodable'),
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
      const raw = run.sign(starter, { ...submitBody, transition: 'command' });
      await assert.rejects(run.tryTo({ kind: 'message', name: 'submit', raw }), says);
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

  failClosed('run.history', {
    error: () =>
      cannotDecide(
        onRun('rev = rev + 1, version = 7'),
        /was one of them restored or reset/,
        'update run set rev = 1 where version = 7',
      ),
    malformed: () =>
      cannotDecide(
        onRun(`doc = jsonb_set(doc::jsonb, '{context}', '{"seen": 1}')::text`),
        /is not the one in the store/,
      ),
    missing: async () => {
      const run = makeHandle(governed.deps, governed.keys, 'run_of_nobody');
      const result = await run.tryTo({ kind: 'start', raw: run.sign(starter, submitBody) });
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
      const holder = new pg.Client({ connectionString: governed.database.url });
      await holder.connect();
      const cancelled = cannotDecide(async () => {
        await holder.query('begin');
        await holder.query('lock table audit_record in access exclusive mode');
        void until('the check to wait for the record', async () => {
          const { rows } = await governed.database.asSuperuser(
            `select pg_cancel_backend(pid) as done from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock' and application_name = 'test'`,
          );
          return rows.length > 0;
        }).finally(() => holder.query('rollback'));
      }, /canceling statement/);
      await cancelled.finally(() => holder.end());
    },
    missing: () =>
      cannotDecide(
        sql('alter table audit_chain rename to gone'),
        /does not exist/,
        'alter table gone rename to audit_chain',
      ),
  });
});
