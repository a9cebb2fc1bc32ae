import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readRecords } from '../../src/audit/index.js';
import type { Pool } from '../../src/db/index.js';
import type { Principal } from '../../src/model/principal.js';
import { startRun } from '../../src/service/runs/start.js';
import { listApprovals } from '../../src/store/approvals/inbox.js';
import { listRuns } from '../../src/store/runs/runs.js';
import { viewerOf, filterVisible } from '../../src/store/runs/visibility.js';
import { copies, fillStore } from '../../testing/many-rows.js';
import { noteStatements } from '../../testing/servers/statements.js';
import { callerOf, makeGround, taken, type Ground } from './callers.js';

const sizes = { runs: 3_000, approvals: 1_000, closedApprovals: 1_500, records: 15_000 };

const person = (id: string, change: Partial<Principal> = {}) =>
  viewerOf({ id, kind: 'human', roles: [], permissions: [], ...change });
const auditor = person('auditor', { permissions: ['audit.read'] });
const finance = person('finance', { roles: ['finance.controller'] });
const rare = person('rare', { roles: ['role_4'] });
const agent = person('person_10', { kind: 'agent' });

/** A query, and the indexes that its plan must use: one of each group. */
type Read = readonly [what: string, read: (pool: Pool) => Promise<unknown>, indexes: readonly string[][]];

const page = { limit: 20, cursor: null };
const approvals = (filter: object) => (pool: Pool) =>
  listApprovals(pool, { viewer: auditor, ...page, ...filter });
const runs = (filter: object) => (pool: Pool) => listRuns(pool, { viewer: auditor, ...page, ...filter });
const records = (filter: object) => (pool: Pool) => readRecords(pool, { limit: 20, ...filter });
const narrow = { from: '2999-01-01T00:00:00.000Z', to: '2999-01-01T00:00:01.000Z' };
const risky = Buffer.from(JSON.stringify(['risk', 2, '2026-01-01T00:00:00.000Z', 'apr_1'])).toString(
  'base64url',
);

const reads: readonly Read[] = [
  ['the inbox, by risk', approvals({ status: 'open' }), [['approval_open_by_risk']]],
  ['its next page', approvals({ status: 'open', cursor: risky }), [['Index Cond: (ROW((- risk)']]],
  ['the inbox, by age', approvals({ status: 'open', order: 'age' }), [['approval_open_by_age']]],
  ['approvals of any status', approvals({}), [['approval_by_risk']]],
  ['approvals of any status, by age', approvals({ order: 'age' }), [['approval_by_age']]],
  ['approvals that were denied', approvals({ status: 'denied' }), [['approval_status']]],
  [
    'the inbox of one of many approvers',
    approvals({ viewer: finance, mine: true }),
    [['approval_open_by_risk', 'approval_roles'], ['decision_approval']],
  ],
  ['the inbox of an approver of few', approvals({ viewer: rare, mine: true }), [['approval_roles']]],
  ['approvals that an agent sees', approvals({ viewer: agent }), [['run_started_by'], ['decision_by']]],
  ['all runs', runs({}), [['run_listing']]],
  ['the runs of a flow', runs({ flow: 'flow_8' }), [['run_flow']]],
  ['runs of a status', runs({ status: 'stuck' }), [['run_status']]],
  ['runs in a state', runs({ state: 'state_7' }), [['run_state']]],
  ['runs in an environment', runs({ environment: 'staging' }), [['run_environment']]],
  ['runs that one has started', runs({ startedBy: 'person_20' }), [['run_started_by']]],
  ['runs that an agent sees', runs({ viewer: agent }), [['run_started_by'], ['decision_by']]],
  [
    'runs that an approver sees',
    runs({ viewer: rare }),
    [['run_started_by'], ['decision_by'], ['approval_run', 'approval_roles']],
  ],
  ['a trace', records({ run: copies.run(sizes.runs) }), [['audit_record_run'], ['audit_log_seq_key']]],
  [
    'the records of a run, and about it',
    records({ run: copies.run(sizes.runs), includeAbout: true, notType: ['api.called'] }),
    [['audit_record_run'], ['audit_record_about'], ['audit_log_seq_key']],
  ],
  ['what streams are told', records({ afterIndex: 14_000 }), [['audit_log_pkey']]],
  ['a page of the record', records({ notType: ['api.called'] }), [['audit_log_pkey']]],
  ['records of a flow', records({ flow: 'rare' }), [['audit_record_flow']]],
  ['records of an actor', records({ actor: 'nobody' }), [['audit_record_actor']]],
  ['records of a type', records({ type: ['policy.reloaded'] }), [['audit_record_type']]],
  ['records of a verdict', records({ verdict: 'error' }), [['audit_record_verdict']]],
  ['records of a time', records(narrow), [['audit_record_time']]],
  [
    'which runs a stream may tell of',
    (pool) => filterVisible(pool, finance, [copies.run(1), copies.run(2)]),
    [['run_pkey'], ['approval_run', 'approval_roles'], ['decision_by']],
  ],
];

describe('the plan of', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
    const submit = { transition: 'bank.pay', arguments: { amount: 200 } };
    const started = taken(await startRun(await callerOf(ground, 'agent'), 'pay', { submit }, 20));
    assert.ok(started.kind === 'pending');
    const { asSuperuser } = ground.database;
    await fillStore(asSuperuser, { run: started.body.run.id, approval: started.approval.id }, sizes);
  });
  after(() => ground.stop());

  async function planOf(read: Read[1]): Promise<string> {
    const { pool, statements } = noteStatements(ground.database.pool);
    await read(pool);
    const asked = statements.filter(({ text }) => /from (audit_log|approval|run)\b/.test(text));
    assert.equal(asked.length, 1, JSON.stringify(statements));
    const client = await ground.database.pool.connect();
    try {
      await client.query('begin');
      // With sequential scans off, a table that is still read from beginning to end has no index for the query.
      await client.query('set local enable_seqscan = off');
      const { text, values } = asked[0]!;
      const { rows } = await client.query<{ 'QUERY PLAN': string }>({
        text: `explain (costs off) ${text}`,
        values: [...values],
      });
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    } finally {
      await client.query('rollback');
      client.release();
    }
  }

  for (const [what, read, indexes] of reads)
    it(`${what} has its index`, async () => {
      const plan = await planOf(read);
      for (const group of indexes)
        assert.ok(
          group.some((index) => plan.includes(index)),
          `${group.join(' or ')} is not in\n${plan}`,
        );
      assert.doesNotMatch(plan, /Seq Scan on (run|approval|decision|audit_record|audit_log)\b/);
    });
});
