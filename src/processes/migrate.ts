import { Connection } from '@temporalio/client';
import { loadKeys } from '../auth/index.js';
import { makePool, migrate, type Pool } from '../db/index.js';
import { namespaceOf } from '../embedded/temporal/names.js';
import { prepareTemporal } from '../embedded/temporal/prepare.js';
import { loadFolder } from '../policy/index.js';
import { connectedProcesses, forgetTemporal, storeIdentity } from '../store/temporal-home.js';
import { liveWorkers } from '../store/workers.js';
import { configOrExit, required } from './config.js';
import { forgetQueue, isPolled, queueHolder } from './queue-holder.js';

// `countersign migrate`: everything that a Postgres server and a Temporal cluster need before API and worker start, and
// the service's keys where the environment gives none.
// Safe to run again, and by many at once.
const say = (line: string): void => void process.stdout.write(`${line}\n`);

process.title = 'countersign migrate';
const config = configOrExit();
const connection = required(config.temporal, 'TEMPORAL_ADDRESS');
const { applied, notices } = await migrate(required(config.databaseUrl, 'DATABASE_URL'));
notices.forEach(say);
say(applied.length === 0 ? 'database: up to date' : `database: applied ${applied.join(', ')}`);

const isMove = process.argv.includes('--forget-temporal');
if (isMove) await forget();
await loadKeys(config.home, process.env);
const policies = await loadFolder(config.policies);
if (policies.status === 'invalid') {
  policies.errors.forEach((error) => say(`${error.file ?? config.policies}:${error.line}: ${error.message}`));
  process.exit(1);
}
const namespaces = policies.policySet.environments.map(({ name }) => namespaceOf(name));
await prepareTemporal({ connection, namespaces, signal: AbortSignal.timeout(300_000), say });
say(`temporal: ${namespaces.join(', ')} ready`);
if (isMove) await forgetQueues();
process.exit(0);

function openPool(): Pool {
  const url = required(config.databaseUrl, 'DATABASE_URL');
  return makePool({ url, applicationName: 'countersign migrate', max: 1 });
}

async function ownIdentity(): Promise<string> {
  const pool = openPool();
  const own = await storeIdentity(pool);
  await pool.end();
  return own;
}

/** Moves the deployment: the next one that starts has the store. */
async function forget(): Promise<void> {
  const pool = openPool();
  const { length } = await liveWorkers(pool);
  const connected = await connectedProcesses(pool);
  if (length > 0 || connected.length > 0) {
    const who = [...(length > 0 ? [`${length} worker processes`] : []), ...connected].join(', ');
    say(`the store is not given to another Temporal: it is still worked with (${who}); stop all processes`);
    process.exit(1);
  }
  await forgetTemporal(pool);
  await pool.end();
  say('the store belongs to no Temporal now: the deployment that starts next has it');
}

/** The queue that this one is to work on, where a deployment that is gone had it. */
async function forgetQueues(): Promise<void> {
  const temporal = await Connection.connect(connection);
  const own = await ownIdentity();
  const { taskQueue } = config;
  for (const namespace of namespaces) {
    const queue = { namespace, taskQueue };
    const holder = await queueHolder(temporal, queue, own, 'never');
    if (holder === null) continue;
    if (holder !== own && (await isPolled(temporal, queue))) {
      say(
        `the task queue \`${taskQueue}\` of \`${namespace}\` is not given to another store: workers poll it, or did a moment ago; stop them and try again in five minutes`,
      );
      process.exit(1);
    }
    await forgetQueue(temporal, queue);
    say(`the task queue \`${taskQueue}\` of \`${namespace}\` belongs to no store now`);
  }
  await temporal.close();
}
