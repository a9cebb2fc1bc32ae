import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import pg from 'pg';
import { migrate } from '../../src/db/index.js';
import { preparePostgres } from '../../src/embedded/postgres/postgres.js';
import { freePort } from '../../src/embedded/process/ports.js';
import { newId } from '../../src/model/names/ids.js';
import { lastingRights } from '../../testing/rights.js';
import type { Principal } from '../../src/model/principal.js';
import { newTrail, type Caller } from '../../src/service/caller.js';
import { startRun } from '../../src/service/runs/start.js';
import { fillStore, type StoreSizes } from '../../testing/many-rows.js';
import { temporaryFolder } from '../../testing/servers/servers.js';
import { makeGround, type Ground } from '../../test/api/harness.js';

/** A Postgres of the benchmark's own with many rows, and the service that uses it. */
export interface ManyRows {
  readonly ground: Ground;
  caller(change: Partial<Principal>): Caller;
  stop(): Promise<void>;
}

const template = 'bench_template';
/** How many arguments the copies share, each encrypted by itself. */
const payloads = 500;

export async function openStore(sizes: StoreSizes, say: (line: string) => void): Promise<ManyRows> {
  const home = temporaryFolder('reads');
  const postgres = await preparePostgres({ home, choosePort: freePort, say, disposable: true });
  const server = await postgres.launch(new AbortController().signal);
  const stop = async (): Promise<void> => {
    await server.stop();
    await postgres.close();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await postgres.createDatabase(template);
    await migrate(postgres.url(template));
    process.env['TEST_DATABASE_ADMIN_URL'] = postgres.url('postgres');
    process.env['TEST_DATABASE_TEMPLATE'] = template;
    const ground = await makeGround();
    await fill(ground, sizes, say);
    return {
      ground,
      caller: (change) => callerOf(ground, change),
      stop: async () => {
        await ground.stop();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function callerOf({ deps }: Ground, change: Partial<Principal>): Caller {
  return {
    deps,
    principal: { id: 'bench', kind: 'human', roles: [], permissions: [], ...change },
    requestId: newId('trc'),
    idBase: randomUUID().replaceAll('-', ''),
    heldKey: null,
    trail: newTrail(),
    rights: lastingRights,
    stopping: new AbortController().signal,
  };
}

async function fill(ground: Ground, sizes: StoreSizes, say: (line: string) => void): Promise<void> {
  const { pool, payloads: store } = ground.deps;
  const agent = callerOf(ground, { id: 'agent', kind: 'agent', permissions: ['run.start'] });
  const submit = { transition: 'bank.pay', arguments: { amount: 60_000 } };
  const started = await startRun(agent, 'pay', { submit }, 30);
  assert.ok(started.kind === 'pending', JSON.stringify(started));
  const refs = [];
  for (let n = 0; n < payloads; n += 1)
    refs.push(
      await store.put(pool, started.body.run.id, 'args', 'application/json', JSON.stringify({ amount: n })),
    );
  const original = { run: started.body.run.id, approval: started.approval.id, payloads: refs };
  const client = new pg.Client({ connectionString: ground.database.url });
  await client.connect();
  try {
    await fillStore((text, values = []) => client.query(text, [...values]), original, sizes, say);
  } finally {
    await client.end();
  }
}
