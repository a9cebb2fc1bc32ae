import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  TransportError,
  Worker,
  type NativeConnectionOptions,
} from '@temporalio/worker';
import { callSlots, countSlotWaits, makeActivities, makeDeps } from '../activities/index.js';
import { makePayloads, makeServiceChain } from '../audit/index.js';
import { assertAppendOnly, makePool, type Pool } from '../db/index.js';
import { closeExecutors } from '../executors/index.js';
import { processReferences, findUnsetReferences } from '../executors/connections/references.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { newId } from '../model/names/ids.js';
import { addInternalErrors } from '../store/processes/internal-errors.js';
import { addStoreWaits } from '../store/processes/store-waits.js';
import { environmentsToServe, policiesInForce, policySetHash } from '../store/flows/policy.js';
import { readConfigOrExit, requireSetting, type Config } from './settings/config.js';
import { retryUntilStoreAnswers, whyEnded } from './settings/database.js';
import { loadOwnKeys } from './settings/own-keys.js';
import { startHeartbeat, type HeartbeatOptions } from './watch/heartbeat.js';
import { makeCountKeeper, makeInternalErrors } from './watch/internal-errors.js';
import { watchEventLoop } from './watch/loop-watch.js';
import { openStoreOwnership, ForeignStore, waitUntilOurs } from './ownership/own-store.js';
import { makeStoreWatch } from './watch/store-waits.js';
import { goOnUnread } from './children/unread-output.js';

// The composition root of a worker: a Temporal worker for each environment's namespace, one pool, the activities of the runs.
// Any number of these processes may run.

/**
 * How long a run that was cached on a dead worker waits for that worker before another takes it (by default 10 s). `npm run bench`
 * measures both.
 */
const stickyTimeout = '1s';
const shutdownGrace = '8s';

async function main(config: Config): Promise<void> {
  const databaseUrl = requireSetting(config.databaseUrl, 'DATABASE_URL');
  const temporal = requireSetting(config.temporal, 'TEMPORAL_ADDRESS');
  // Temporal's native core does not keep Node's event loop alive while it connects.
  const alive = setInterval(() => undefined, 60_000);
  Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: [] });
  const pool = makePool({ url: databaseUrl, applicationName: 'countersign worker', max: 12, byKeys: true });
  pool.on('error', () => undefined);
  const keys = await loadOwnKeys(config.home);
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const errors = makeInternalErrors(
    log,
    makeCountKeeper((count) => addInternalErrors(pool, 'worker', count)),
  );
  const store = makeStoreWatch(log, (waits) => addStoreWaits(pool, 'worker', waits));
  const chain = makeServiceChain({ pool, kind: 'worker' });
  const deps = makeDeps(pool, makePayloads({ kek: keys.kek }), chain, errors.note, store.waited);
  await waitForPolicies(pool, log);
  await retryUntilStoreAnswers('worker', log, () => assertAppendOnly(pool));
  // The native core takes no proxy from the environment, and no arguments of gRPC's channels.
  const { apiKey, channelArgs: _channelArgs, ...address } = temporal;
  const connection = await connectOnceAnswered(
    { ...address, ...(typeof apiKey === 'string' ? { apiKey } : {}) } as NativeConnectionOptions,
    log,
  );
  const id = newId('svc');
  const activities = makeActivities(deps, id);
  watchEventLoop(log);
  logSlotWaits(log);
  const findUnset: HeartbeatOptions['unset'] = async () =>
    findUnsetReferences((await deps.policySet(pool)).connections, processReferences());
  const ownership = openStoreOwnership({ config, keys, temporal: connection }, pool, log);
  await waitUntilOurs(ownership, temporal.address, log);
  const makeEnvironmentWorker = async (environment: string): Promise<Worker> => {
    const owner = await ownership.take([namespaceOf(environment)]);
    if (owner.status === 'foreign') throw new ForeignStore(owner.message);
    if (owner.status === 'unknown') throw new Error(owner.why);
    if (!(await ownership.isOurs(namespaceOf(environment))))
      throw new Error(`temporal has no namespace \`${namespaceOf(environment)}\``);
    return makeWorker(config, connection, namespaceOf(environment), activities);
  };
  await serve(
    { id, pool, unset: findUnset, log, store, onInternalError: errors.note },
    makeEnvironmentWorker,
  );
  await closeExecutors();
  await connection.close();
  await pool.end();
  clearInterval(alive);
}

/** Connects to Temporal once it answers; until then it says why not, each reason once. */
async function connectOnceAnswered(
  options: NativeConnectionOptions,
  log: (line: string) => void,
): Promise<NativeConnection> {
  const told = new Set<string>();
  const tell = ([why, advice]: Unconnected): void => {
    if (!told.has(why))
      log(`the worker waits: Temporal at \`${options.address ?? ''}\` cannot be used (${why}): ${advice}`);
    told.add(why);
  };
  for (;;) {
    const slow = setTimeout(() => tell([`no answer within ${silentMs} ms`, startIt]), silentMs);
    try {
      return await NativeConnection.connect(options);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      tell(describeUnconnected(error.message));
      await delay(1_000);
    } finally {
      clearTimeout(slow);
    }
  }
}

type Unconnected = readonly [why: string, advice: string];

const startIt = 'start it, or correct TEMPORAL_ADDRESS';

/** The native core tells a failure with all its causes, as Rust writes them. */
function describeUnconnected(message: string): Unconnected {
  if (message.includes('ConnectionRefused')) return ['nothing listens there', startIt];
  if (message.includes('dns error')) return ['its name is not known', startIt];
  return [message.slice(0, 300), `${startIt}, or TEMPORAL_API_KEY and TEMPORAL_TLS… as it asks for them`];
}

/** Logs once a minute how often calls had to wait for a slot; single waits are not logged. */
function logSlotWaits(log: (line: string) => void): void {
  const tell = (): void => {
    const times = countSlotWaits();
    if (times > 0)
      log(
        `${times} times in the last minute a call waited for a slot: too many calls of its requester, or to its target, were under way`,
      );
  };
  setInterval(tell, 60_000).unref();
}

const lookMs = 1_000;

/** Runs a Temporal worker for each environment, also for those that a reload adds. Ends on a signal to stop, or when a worker fails. */
async function serve(
  beating: Omit<HeartbeatOptions, 'environments'>,
  make: (environment: string) => Promise<Worker>,
): Promise<void> {
  const stopping = new AbortController();
  const workers = new Map<string, Worker>();
  const runs: Promise<void>[] = [];
  const failures: unknown[] = [];
  const isRunning = (worker: Worker): boolean => worker.getState() === 'RUNNING';
  const shutDown = (): void => workers.forEach((worker) => isRunning(worker) && worker.shutdown());
  const runningEnvironments = (): string[] =>
    [...workers].filter(([, worker]) => isRunning(worker)).map(([name]) => name);
  const heartbeat = startHeartbeat({ ...beating, environments: runningEnvironments });
  stop.now = () => {
    stopping.abort();
    shutDown();
  };
  if (stop.asked) stopping.abort();
  const startWorker = async (environment: string): Promise<void> => {
    const worker = await make(environment);
    workers.set(environment, worker);
    const onFailure = (error: unknown): void => {
      failures.push(error);
      stop.now();
    };
    runs.push(worker.run().catch(onFailure));
    heartbeat.beat();
  };
  const serveNewEnvironments = makeEnvironmentCheck(beating.pool, workers, startWorker);
  try {
    while (!stopping.signal.aborted) {
      await serveNewEnvironments();
      await delay(lookMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  } finally {
    shutDown();
    await Promise.all([heartbeat.stop(), ...runs]);
  }
  if (failures.length > 0) throw failures[0];
}

/** A function that starts a worker for each environment without one. What fails is tried again at the next call. */
function makeEnvironmentCheck(
  pool: Pool,
  served: ReadonlyMap<string, Worker>,
  startWorker: (environment: string) => Promise<void>,
): () => Promise<void> {
  let servedHash: string | null = null;
  let said = '';
  return async () => {
    try {
      const hash = await policySetHash(pool);
      if (hash === servedHash) return;
      const found = await policiesInForce(pool);
      const wanted = found === null ? [] : await environmentsToServe(pool, found.policies.policySet);
      const added = wanted.filter((environment) => !served.has(environment));
      for (const environment of added) await startWorker(environment);
      servedHash = found?.hash ?? null;
      if (added.length > 0) process.stdout.write(`working on ${added.map(namespaceOf).join(', ')}\n`);
    } catch (error) {
      if (error instanceof ForeignStore) throw error;
      // The store is away, or the API has not made the namespace yet.
      const why = error instanceof Error ? error.message : String(error);
      if (why !== said) console.error(`not all environments have a worker yet: ${why}`);
      said = why;
    }
  };
}

/** An API that starts beside the worker takes less. */
const silentMs = 3_000;

/** Waits until the API has loaded the policies folder. Where that takes long, says once for each cause what it waits for. */
async function waitForPolicies(pool: Pool, log: (line: string) => void): Promise<void> {
  const silentUntil = performance.now() + silentMs;
  const told = new Set<string>();
  for (;;) {
    const missing = await findMissing(pool, log);
    if (missing === null) return;
    if (performance.now() > silentUntil && !told.has(missing)) log(`the worker waits: ${missing}`);
    if (performance.now() > silentUntil) told.add(missing);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What an API process or `countersign migrate` has to do before a worker can begin; null: nothing. */
async function findMissing(pool: Pool, log: (line: string) => void): Promise<string | null> {
  try {
    const hash = await retryUntilStoreAnswers('worker', log, () => policySetHash(pool));
    return hash === null
      ? 'no API process has loaded policies into this store yet; where one runs, its log says why'
      : null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === '42P01')
      return 'the database has no tables of Countersign yet: start an API process, or run `countersign migrate`';
    if (code === '42501')
      return 'its login may not read the tables: make it a member of the role `countersign_app`';
    throw error;
  }
}

function makeWorker(
  config: Config,
  connection: NativeConnection,
  namespace: string,
  activities: object,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace,
    taskQueue: config.taskQueue,
    workflowBundle: { codePath: fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)) },
    dataConverter: {
      payloadConverterPath: fileURLToPath(new URL('../workflows/payload-converter.js', import.meta.url)),
      failureConverterPath: fileURLToPath(new URL('../workflows/failure-converter.js', import.meta.url)),
    },
    activities,
    reuseV8Context: true,
    workflowThreadPoolSize: 1,
    maxConcurrentWorkflowTaskExecutions: 16,
    maxConcurrentLocalActivityExecutions: 32,
    maxConcurrentActivityTaskExecutions: callSlots,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 2, maximum: 8 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 2, maximum: 8 },
    maxCachedWorkflows: 2_000,
    stickyQueueScheduleToStartTimeout: stickyTimeout,
    shutdownGraceTime: shutdownGrace,
    shutdownForceTime: '12s',
  });
}

/** What a signal to stop does. A second signal changes nothing; a signal before anything runs ends the process. */
const stop = { asked: false, now: (): void => process.exit(0) };

function onStopSignal(): void {
  if (stop.asked) return;
  stop.asked = true;
  stop.now();
}

process.title = 'countersign worker';
goOnUnread();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onStopSignal);
const config = readConfigOrExit();
main(config).then(
  () => process.exit(0),
  async (error: unknown) => {
    console.error(await whyEnded('worker', error, config));
    process.exit(1);
  },
);
