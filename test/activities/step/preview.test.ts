import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PayloadRef } from '../../../src/model/records.js';
import {
  controller,
  countRecords,
  makeGoverned,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';

// What would run, as its approvers are shown it, is a payload of the run: what the executor compares is what they were shown.

const policies = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml':
    'connections: { bank: { kind: rest, baseUrl: "http://127.0.0.1:9", allowPrivate: true } }\n',
  'flows/pay.yaml': `
workflows:
  pay:
    owner: team
    initialState: a
    states:
      a:
        transitions:
          pay:
            target: a
            tier: reversible
            summary: pays
            inputSchema: { type: object, properties: { memo: { type: string } } }
            executor: { kind: rest, connection: bank, method: POST, path: /pay, body: { memo: $.arguments.memo } }
            gate: { roles: [finance.controller], quorum: { count: 2 } }
`,
};
const memo = 'a text that no column holds';

let governed: Governed;
before(async () => {
  governed = await makeGoverned(policies);
});
after(() => governed.stop());

const ask = async <T extends object>(sql: string, values: readonly unknown[]): Promise<readonly T[]> =>
  (await governed.database.asSuperuser(sql, values)).rows as T[];

async function parked(args = { memo }): Promise<Handle> {
  const run = await governed.start('pay');
  await run.submit(starter, 'pay', args);
  return run;
}
const approvalOf = ({ state }: Handle): string => state.approvals[0]?.id ?? assert.fail();
const approve = async (run: Handle): Promise<void> => {
  const id = approvalOf(run);
  for (const by of [controller, { ...controller, id: 'gil' }]) await run.decide(by, id, 'approve');
};
async function refIn(run: Handle): Promise<PayloadRef> {
  const rows = await ask<{ ref: PayloadRef }>(
    `select doc -> 'previewRef' as ref from approval where id = $1`,
    [approvalOf(run)],
  );
  return rows[0]?.ref ?? assert.fail();
}
/** By who owns the table, and may switch its triggers off. */
const unguarded = (statement: string): Promise<unknown> =>
  governed.database.asSuperuser(
    `alter table payload disable trigger user; ${statement}; alter table payload enable trigger user`,
  );

describe('what the approvers are shown', () => {
  it('is written once, when the approval opens, and no value of it stands in clear in any row of the run', async () => {
    const run = await parked();
    const all = (): Promise<readonly { id: string; ref: PayloadRef }[]> =>
      ask(
        `select p.id, a.doc -> 'previewRef' as ref from payload p join approval a on a.run = p.run where p.run = $1`,
        [run.id],
      );
    const before = await all();
    const [{ ref } = assert.fail()] = before;
    assert.equal(before.filter(({ id }) => id === ref.payload).length, 1);
    assert.deepEqual([ref.role, ref.media], ['preview', 'application/json']);
    await run.decide(controller, approvalOf(run), 'approve');
    await run.take({ kind: 'garbage', name: 'x', reason: 'unsigned' });
    const later = await all();
    assert.equal(later.length, before.length + 1, 'the reason of the decision, and nothing else');
    assert.deepEqual(later[0]?.ref, ref);
    const rows = await ask<{ text: string }>(
      `select row_to_json(a)::text as text from approval a where run = $1
       union all select convert_from(body, 'UTF8') from audit_record where run = $1 or about = $1
       union all select doc from run where id = $1 union all select result from run_step where run = $1`,
      [run.id],
    );
    assert.ok(rows.length > 5);
    for (const { text } of rows) assert.ok(!text.includes(memo), text);
    const stored = await governed.deps.payloads.get(governed.deps.pool, ref);
    assert.equal(
      stored?.toString('utf8'),
      `{"kind":"rest","connection":"bank","method":"POST","path":"/pay","query":[],"headers":[],"body":{"memo":"${memo}"}}`,
    );
  });

  const gone: Readonly<Record<string, (ref: PayloadRef, run: Handle) => Promise<unknown>>> = {
    'its payload is gone': ({ payload }) => unguarded(`delete from payload where id = '${payload}'`),
    'its payload holds something else': ({ payload }, run) =>
      unguarded(
        `update payload set ciphertext = (select ciphertext from payload where run = '${run.id}' and id <> '${payload}' limit 1) where id = '${payload}'`,
      ),
    'the row names the arguments instead': (_ref, run) =>
      ask(
        `update approval set doc = jsonb_set(doc::jsonb, '{previewRef}', doc::jsonb -> 'argumentsRef')::json where id = $1`,
        [approvalOf(run)],
      ),
    'the row names other arguments': async (_ref, run) => {
      const other = await parked({ memo: 'another' });
      await ask(
        `update approval set doc = jsonb_set(doc::jsonb, '{argumentsRef}', (select doc::jsonb -> 'argumentsRef' from approval where id = $2))::json where id = $1`,
        [approvalOf(run), approvalOf(other)],
      );
    },
    'the row names no arguments': (_ref, run) =>
      ask(`update approval set doc = jsonb_set(doc::jsonb, '{argumentsRef}', 'null')::json where id = $1`, [
        approvalOf(run),
      ]),
    'the row names no payload': (_ref, run) =>
      ask(`update approval set doc = (doc::jsonb - 'previewRef')::json where id = $1`, [approvalOf(run)]),
  };
  for (const [what, break_] of Object.entries(gone))
    it(`lets nothing run where ${what}, whoever has approved it`, async () => {
      const run = await parked();
      await approve(run);
      await break_(await refIn(run), run);
      await run.execute();
      const failed = (await run.records()).filter(({ type }) => type === 'executor.failed');
      assert.deepEqual(
        failed.map(({ data }) => [data['code'], data['message']]),
        [['DIGEST_MISMATCH', 'what the store has as shown to the approvers is not what they were shown']],
      );
      assert.equal(await countRecords(run, 'executor.started'), 0);
    });

  it('lets nothing run, and ends nothing, while its key does not open: it runs once it does', async () => {
    const [run, other] = [await parked(), await parked()];
    await approve(run);
    const { payload } = await refIn(run);
    const under = ({ id }: Handle): Promise<unknown> =>
      unguarded(`update payload set run = '${id}' where id = '${payload}'`);
    await under(other);
    await governed.database.asSuperuser(
      `alter table payload_key disable trigger user;
       update payload_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) where run = '${other.id}';
       alter table payload_key enable trigger user`,
    );
    await assert.rejects(run.execute(), /does not open here/);
    assert.deepEqual(
      (await run.records()).filter(({ type }) => type.startsWith('executor.')),
      [],
    );
    await under(run);
    await run.execute();
    assert.equal(await countRecords(run, 'executor.started'), 1);
  });

  it('is compared as the row has it where an earlier build opened the approval', async () => {
    const run = await parked();
    const stored = await governed.deps.payloads.get(governed.deps.pool, await refIn(run));
    await ask(
      `update approval set doc = (doc::jsonb - 'previewRef' || jsonb_build_object('preview', $2::jsonb))::json where id = $1`,
      [approvalOf(run), stored?.toString('utf8')],
    );
    await approve(run);
    await run.execute();
    assert.equal(await countRecords(run, 'executor.started'), 1);
  });
});
