import { Connection } from '@temporalio/client';
import { isStillPolled, type TaskQueue } from '../client/pollers.js';
import { makePool, migrate, whyNotMigrated, withTransaction, type Pool } from '../db/index.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { withoutProxyHere } from '../embedded/temporal/direct.js';
import { prepareTemporal, TemporalAway } from '../embedded/temporal/prepare.js';
import { loadFolder } from '../policy/index.js';
import {
  connectedProcesses,
  forgetTemporal,
  leaveRuns,
  storeIdentity,
  temporalHomes,
  type TemporalHome,
} from '../store/processes/temporal-home.js';
import { liveWorkers } from '../store/processes/workers.js';
import { readConfigOrExit, requireSetting } from './settings/config.js';
import { findDatabaseProblem } from './settings/database.js';
import { loadOwnKeys } from './settings/own-keys.js';
import { namespaceIdOf } from './ownership/namespace-id.js';
import { forgetHolder, readHolder } from './ownership/queue-holder.js';
import { goOnUnread } from './children/unread-output.js';

// `countersign migrate`: prepares a Postgres server and a Temporal cluster for API and worker, and makes the service's keys where
// the environment gives none. It may be run again, and by many at once.
const say = (line: string): void => void process.stdout.write(`${line}\n`);

process.title = 'countersign migrate';
goOnUnread();
const config = readConfigOrExit();
const connection = requireSetting(config.temporal, 'TEMPORAL_ADDRESS');
const databaseUrl = requireSetting(config.databaseUrl, 'DATABASE_URL');
// Before the database is changed.
await loadOwnKeys(config.home).catch((error: unknown) =>
  exitRefusing(error instanceof Error ? error.message : String(error)),
);
const problem = await findDatabaseProblem(databaseUrl, 'correct DATABASE_URL, and run this again');
if (problem !== null) exitRefusing(problem.message);
const { applied, notices } = await migrate(databaseUrl).catch((error: unknown) => {
  const why = whyNotMigrated(error);
  if (why === null) throw error;
  return exitRefusing(why);
});
notices.forEach(say);
say(applied.length === 0 ? 'database: up to date' : `database: applied ${applied.join(', ')}`);

const former = process.argv.includes('--forget-temporal') ? await askStore(readHomesToForget) : null;
const policies = await loadFolder(config.policies);
if (policies.status === 'invalid') {
  policies.errors.forEach((error) => say(`${error.file ?? config.policies}:${error.line}: ${error.message}`));
  process.exit(1);
}
const namespaces = policies.policySet.environments.map(({ name }) => namespaceOf(name));
await prepareTemporal({ connection, namespaces, signal: AbortSignal.timeout(300_000), say }).catch(
  (error: unknown) => {
    if (!(error instanceof TemporalAway)) throw error;
    exitRefusing(`${error.message}: start it, or correct TEMPORAL_ADDRESS, and run this again`);
  },
);
say(`temporal: ${namespaces.join(', ')} ready`);
if (former !== null) {
  const left = await forgetQueues(former);
  // Last, so that until then it is known which queues the runs are on, and this can be run again.
  await askStore((pool) => forgetHomes(pool, former, left));
}
process.exit(0);

/** Asks the store on a connection of its own, which is closed afterwards. */
async function askStore<T>(question: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = makePool({ url: databaseUrl, applicationName: 'countersign migrate', max: 1 });
  try {
    return await question(pool);
  } finally {
    await pool.end();
  }
}

/** The processes that work with the store now, in words; null: none does. */
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

/** The homes of the store's runs, read before anything is given away, so that a deployment that comes later keeps what it has taken. */
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

/** Gives the store away: the next deployment that starts gets it. `left`: the homes whose runs stay with another deployment. */
async function forgetHomes(
  pool: Pool,
  homes: readonly TemporalHome[],
  left: readonly TemporalHome[],
): Promise<void> {
  await exitIfActive(pool);
  const [since] = await withTransaction(pool, async (tx) => {
    await leaveRuns(tx, left, config.taskQueue);
    return forgetTemporal(tx, homes);
  });
  if (since !== undefined)
    exitRefusing(
      `the store has just been taken by a deployment on the task queue \`${since.taskQueue}\`, which keeps it; if another deployment is to have it, stop the processes of the deployment that has it now and try again`,
    );
  say('the store belongs to no Temporal now: the deployment that starts next has it');
}

function nameOf({ namespace, taskQueue }: TaskQueue): string {
  return `the task queue \`${taskQueue}\` of \`${namespace}\``;
}

async function looksPolled(temporal: Connection, queue: TaskQueue): Promise<boolean> {
  say(`looking whether workers still poll ${nameOf(queue)}, which may take more than a minute`);
  return isStillPolled(temporal, queue);
}

/**
 * Gives up the queues of this Temporal on which the store's runs were, so that the runs come to the new queue. Where this store is
 * a copy, the deployment that works with the original keeps its queue and its runs: gives the homes of those.
 */
async function leaveFormerQueues(
  temporal: Connection,
  own: string,
  former: readonly TemporalHome[],
): Promise<readonly TemporalHome[]> {
  const isLeft = async ({ namespace, namespaceId, taskQueue }: TemporalHome): Promise<boolean> => {
    if (taskQueue === config.taskQueue || (await namespaceIdOf(temporal, namespace)) !== namespaceId)
      return false;
    const queue = { namespace, taskQueue };
    const seen = await readHolder(temporal, queue);
    if (seen?.store !== own) return false;
    if (await looksPolled(temporal, queue)) {
      say(
        `workers poll ${nameOf(queue)}: it and the runs there are left to them, since this store may be a copy of theirs; where they are this deployment's own, stop them and run this with COUNTERSIGN_TASK_QUEUE=${taskQueue}`,
      );
      return true;
    }
    await forgetHolder(temporal, queue, seen);
    say(`${nameOf(queue)} belongs to no store now`);
    return false;
  };
  const areLeft = await Promise.all(former.map(isLeft));
  return former.filter((_home, index) => areLeft[index] === true);
}

/** Gives up the former queues, and the queue of this deployment where one that is gone had it. Gives the homes that are left to another deployment. */
async function forgetQueues(former: readonly TemporalHome[]): Promise<readonly TemporalHome[]> {
  const temporal = await Connection.connect(withoutProxyHere(connection));
  const own = await askStore(storeIdentity);
  const left = await leaveFormerQueues(temporal, own, former);
  await Promise.all(namespaces.map((namespace) => takeFromHolder(temporal, own, namespace)));
  await temporal.close();
  return left;
}

async function takeFromHolder(temporal: Connection, own: string, namespace: string): Promise<void> {
  const { taskQueue } = config;
  const queue = { namespace, taskQueue };
  const seen = await readHolder(temporal, queue);
  if (seen === null) return;
  const who = seen.store === own ? await askStore(describeActiveProcesses) : null;
  if (who !== null)
    exitRefusing(`${nameOf(queue)} is not given away: this store is worked with again (${who})`);
  if (await looksPolled(temporal, queue))
    exitRefusing(
      `${nameOf(queue)} is not given to another deployment: workers poll it; stop them and try again, or choose another queue where those workers are to go on, as where this store is a copy of theirs`,
    );
  const since = await forgetHolder(temporal, queue, seen);
  if (since !== null)
    exitRefusing(
      `${nameOf(queue)} has just been taken for the store \`${since.store}\`, which keeps it; if another store is to have it, stop the processes that work with that store and try again`,
    );
  say(`${nameOf(queue)} belongs to no store now`);
}
