import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { makePolicies } from '../../../src/service/index.js';
import { withTransaction, type Tx } from '../../../src/db/index.js';
import { newId } from '../../../src/model/names/ids.js';
import { makeGoverned, starter, type Governed } from '../../fail-closed/support/governed.js';
import { makeTarget, type Target } from '../execute/target.js';
import { writeFiles } from '../../../testing/files.js';

// A store that is restored goes on with the numbers that it had: what a process that lives on remembers under one of them is of
// a past that is gone.

const flows = `
workflows:
  f:
    owner: team
    environment: dev
    initialState: a
    states:
      a:
        transitions:
          bare: { target: a, tier: reversible, executor: { kind: rest, connection: main, method: POST, path: /bare } }
          end: { target: done }
      done: { terminal: true }
`;
const files = (environments: string): Readonly<Record<string, string>> => ({
  'environments.yaml': environments,
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': `connections: { main: { kind: rest, baseUrl: '${target.url}', allowPrivate: true } }\n`,
  'flows/f.yaml': flows,
});
const lost = 'environments: { dev: { gateTimeout: 2h } }\n';
const floor = 'environments: { dev: { gates: [{ tiers: [reversible], roles: [finance.controller] }] } }\n';

let target: Target;
let governed: Governed;
const home = mkdtempSync(join(tmpdir(), 'countersign-restored-'));
before(async () => {
  target = await makeTarget();
  governed = await makeGoverned(files('environments: { dev: {} }\n'));
});
after(async () => {
  await governed.stop();
  await target.close();
  rmSync(home, { recursive: true });
});

/** An API process that reads the folder `name`. */
function api(name: string, environments: string): ReturnType<typeof makePolicies> {
  const { pool } = governed.database;
  const folder = join(home, name);
  writeFiles(folder, files(environments));
  return makePolicies({
    ...{ pool, folder, chain: governed.deps.serviceChain, now: () => new Date() },
    transaction: <T>(fn: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(pool, fn),
  });
}

it('a store that is restored under processes that live on has its own floors and people in force, whatever had their numbers before', async () => {
  const { database, deps } = governed;
  const by = { kind: 'runtime', id: 'countersign' } as const;
  // As a restore leaves it: no trigger is asked.
  const put = async (table: string, change: string): Promise<void> => {
    await database.asSuperuser(
      `alter table ${table} disable trigger all; ${change}; alter table ${table} enable trigger all`,
    );
  };
  const seq = async (): Promise<number> =>
    (await database.pool.query<{ seq: string }>('select max(seq) as seq from policy_set')).rows.map((row) =>
      Number(row.seq),
    )[0] ?? assert.fail();
  const kept = await seq();
  const older = api('older', lost);
  assert.equal((await older.start(by, newId('trc'))).status, 'loaded');
  const gone = await seq();
  assert.ok(gone > kept);
  const run = await governed.start('f');
  const of = { flow: 'f', flowVersion: 1 };
  const { author } = await deps.people(database.pool, of);
  assert.ok((await older.policySet())?.environments.some(({ name }) => name === 'dev'));

  await put('policy_set', `delete from policy_set where seq > ${kept}`);
  await put('flow_version', `update flow_version set published_by = 'somebody else' where name = 'f'`);
  await database.asSuperuser(`select setval(pg_get_serial_sequence('policy_set', 'seq'), ${kept})`);
  const newer = api('newer', floor);
  assert.equal((await newer.start(by, newId('trc'))).status, 'loaded');
  assert.equal(await seq(), gone);

  target.say();
  const answer = await run.submit(starter, 'bare');
  assert.equal(answer?.status, 'pending', JSON.stringify(answer));
  assert.equal(target.requests.length, 0);
  const dev = (await older.policySet())?.environments.find(({ name }) => name === 'dev');
  assert.deepEqual(dev, (await newer.policySet())?.environments[0]);
  assert.notEqual(author, 'somebody else');
  assert.equal((await deps.people(database.pool, of)).author, 'somebody else');
});
