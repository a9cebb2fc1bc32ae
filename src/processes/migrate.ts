import { Connection } from '@temporalio/client';
import { isPolled, isStillPolled } from '../client/pollers.js';
import { loadKeys } from '../auth/index.js';
import { makePool, migrate, type Pool } from '../db/index.js';
import { namespaceOf } from '../model/temporal-names.js';
import { prepareTemporal } from '../embedded/temporal/prepare.js';
import { loadFolder } from '../policy/index.js';
import {
  connectedProcesses,
  forgetTemporal,
  storeIdentity,
  temporalHomes,
  type TemporalHome,
} from '../store/temporal-home.js';
import { liveWorkers } from '../store/workers.js';
import { configOrExit, required } from './config.js';
import { namespaceIdOf } from './namespace-id.js';
import { forgetHolder, readHolder } from './queue-holder.js';

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

const former = process.argv.includes('--forget-temporal') ? await askStore(readHomesToForget) : null;
await loadKeys(config.home, process.env);
const policies = await loadFolder(config.policies);
if (policies.status === 'invalid') {
  policies.errors.forEach((error) => say(`${error.file ?? config.policies}:${error.line}: ${error.message}`));
  process.exit(1);
}
const namespaces = policies.policySet.environments.map(({ name }) => namespaceOf(name));
await prepareTemporal({ connection, namespaces, signal: AbortSignal.timeout(300_000), say });
say(`temporal: ${namespaces.join(', ')} ready`);
if (former !== null) {
  await forgetQueues(former);
  // Last: until all is done, it is still known which queues the runs are on, and this can be run again.
  await askStore((pool) => forgetHomes(pool, former));
}
process.exit(0);

function openPool(): Pool {
  const url = required(config.databaseUrl, 'DATABASE_URL');
  return makePool({ url, applicationName: 'countersign migrate', max: 1 });
}

/** Asks the store, on a connection of its own. */
async function askStore<T>(question: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = openPool();
  try {
    return await question(pool);
  } finally {
    await pool.end();
  }
}

/** Who works with the store now, in words; null: no process does. */
async function describeActiveProcesses(pool: Pool): Promise<string | null> {
  const { length } = await liveWorkers(pool);
  const connected = await connectedProcesses(pool);
  const who = [...(length > 0 ? [`${length} worker processes`] : []), ...connected];
  return who.length === 0 ? null : who.join(', ');
}

function exitRefusing(why: string): never {
  say(why);
  process.exit(1);
}

/** Seen before anything is given away: a deployment that comes later keeps what it has taken. */
async function readHomesToForget(pool: Pool): Promise<readonly TemporalHome[]> {
  const seen = await temporalHomes(pool);
  await exitIfActive(pool);
  return seen;
}

async function exitIfActive(pool: Pool): Promise<void> {
  const who = await describeActiveProcesses(pool);
  if (who !== null)
    exitRefusing(
      `the store is not given to another Temporal: it is still worked with (${who}); stop all processes and run this again`,
    );
}

/** Moves the deployment: the next one that starts has the store. */
async function forgetHomes(pool: Pool, homes: readonly TemporalHome[]): Promise<void> {
  await exitIfActive(pool);
  const [since] = await forgetTemporal(pool, homes);
  if (since !== undefined)
    exitRefusing(
      `the store has just been taken by a deployment on the task queue \`${since.taskQueue}\`, which keeps it; where that is not the one that is to have it, stop its processes and try again`,
    );
  say('the store belongs to no Temporal now: the deployment that starts next has it');
}

/**
 * The queues on which the store's runs were, in this Temporal: nobody's any more, so that the runs come to the new queue.
 * But where this store is a copy, the deployment that goes on with the other one keeps its queue and its runs.
 */
async function leaveFormerQueues(
  temporal: Connection,
  own: string,
  former: readonly TemporalHome[],
): Promise<void> {
  const leave = async ({ namespace, namespaceId, taskQueue }: TemporalHome): Promise<void> => {
    if (taskQueue === config.taskQueue || (await namespaceIdOf(temporal, namespace)) !== namespaceId) return;
    const queue = { namespace, taskQueue };
    const name = `the task queue \`${taskQueue}\` of \`${namespace}\``;
    const seen = await readHolder(temporal, queue);
    if (seen?.store !== own) return;
    say(`looking whether workers still poll ${name}, which may take more than a minute`);
    if (await isStillPolled(temporal, queue))
      return say(
        `workers poll ${name}: it and the runs there are left to them, since this store may be a copy of theirs; where they are this deployment's own, stop them and run this with COUNTERSIGN_TASK_QUEUE=${taskQueue}`,
      );
    await forgetHolder(temporal, queue, seen);
    say(`${name} belongs to no store now`);
  };
  await Promise.all(former.map(leave));
}

/** The queue that this one is to work on, where a deployment that is gone had it. */
async function forgetQueues(former: readonly TemporalHome[]): Promise<void> {
  const temporal = await Connection.connect(connection);
  const own = await askStore(storeIdentity);
  await leaveFormerQueues(temporal, own, former);
  const { taskQueue } = config;
  for (const namespace of namespaces) {
    const queue = { namespace, taskQueue };
    const name = `the task queue \`${taskQueue}\` of \`${namespace}\``;
    const seen = await readHolder(temporal, queue);
    if (seen === null) continue;
    const who = seen.store === own ? await askStore(describeActiveProcesses) : null;
    if (who !== null) exitRefusing(`${name} is not given away: this store is worked with again (${who})`);
    if (seen.store !== own && (await isPolled(temporal, queue)))
      exitRefusing(
        `${name} is not given to another store: workers poll it, or did a moment ago; stop them and try again in five minutes`,
      );
    const since = await forgetHolder(temporal, queue, seen);
    if (since !== null)
      exitRefusing(
        `${name} has just been taken for the store \`${since.store}\`, which keeps it; where that is not the one that is to have it, stop its processes and try again`,
      );
    say(`${name} belongs to no store now`);
  }
  await temporal.close();
}
