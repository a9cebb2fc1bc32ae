import { hkdfSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { newId } from '../model/names/ids.js';
import type { OnInternalError } from '../model/internal-error.js';
import { makeAnonymous, makeBodyRoom, makeMetrics, makeServer, type ApiDeps } from '../api/index.js';
import { makeFeed, makeNotices, makePolicies } from '../service/index.js';
import { makePayloads, makeServiceChain, type ServiceChain } from '../audit/index.js';
import {
  currentSigningKey,
  isSigningKeyUnopened,
  makeAuthenticator,
  makeJwtVerifier,
  makeSessions,
  makeSigningKey,
  makeWebhookKey,
  parseJwtIssuers,
  type WebhookKey,
  type ServiceKeys,
} from '../auth/index.js';
import { makeClient, type ClientDeps } from '../client/index.js';
import {
  assertAppendOnly,
  isUnavailable,
  listen,
  makePool,
  makeStoreClock,
  migrate,
  whyNotMigrated,
  withTransaction,
  type Pool,
  type Tx,
} from '../db/index.js';
import { withoutProxyHere } from '../embedded/temporal/direct.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { makeDeliverer } from '../notify/index.js';
import { purgeOldKeys } from '../store/idempotency.js';
import { notificationChannel } from '../store/notifications.js';
import { putSigningKey } from '../store/people/signing-keys.js';
import { forOperators } from './child.js';
import { startListening, stopOnSignals } from './listen.js';
import { makeEngines } from './engines.js';
import type { StoreOwnership } from './ownership/store-ownership.js';
import { assertOurs, openStoreOwnership, makeCopyFinder, takeStore } from './ownership/own-store.js';
import { readConfigOrExit, defaultPort, requireSetting, type Config } from './settings/config.js';
import { retryUntilStoreAnswers, whyEnded } from './settings/database.js';
import { loadOwnKeys } from './settings/own-keys.js';
import { ensureDevKeys } from './settings/dev-keys.js';
import { linesOfLoaded } from './settings/loaded-policies.js';
import { makeInternalErrors } from './watch/internal-errors.js';
import { watchEventLoop } from './watch/loop-watch.js';
import { makeLostWorkflows } from './watch/lost-workflows.js';
import { goOnUnread } from './children/unread-output.js';

// The composition root of an API process. Any number of API processes may run, and may start at the same time.

const bootLock = 7_202_611_211;
const purgeMs = 3_600_000;
const runtime = { kind: 'runtime', id: 'countersign' } as const;

interface Foundation {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly temporal: Connection;
  readonly pool: Pool;
  readonly now: () => Date;
  readonly keys: ServiceKeys;
  readonly chain: ServiceChain;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly policies: ReturnType<typeof makePolicies>;
  readonly isOurs: StoreOwnership['isOurs'];
}

const log = (line: string): void => void process.stderr.write(`${line}\n`);
/** Writes a line for the operator to stdout, which reaches the terminal where the product was started. */
const say = (line: string): void => void process.stdout.write(`${forOperators}${line}\n`);

/** Makes what everything else needs: keys, store, clock and policies. Writes nothing to a store of another deployment. */
async function layFoundation(config: Config): Promise<Foundation & { readonly stopClock: () => void }> {
  const databaseUrl = requireSetting(config.databaseUrl, 'DATABASE_URL');
  // Lazy, so that an API without Temporal still answers, and says so.
  const temporal = Connection.lazy(withoutProxyHere(requireSetting(config.temporal, 'TEMPORAL_ADDRESS')));
  const keys = await loadOwnKeys(config.home);
  await waitForStore(() => prepareStore({ config, keys, temporal }, databaseUrl));
  const pool = makePool({ url: databaseUrl, applicationName: 'countersign api', max: 20 });
  const transaction = <T>(fn: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(pool, fn);
  const chain = makeServiceChain({ pool, kind: 'api' });
  const { now, stop: stopClock } = await waitForStore(() => makeStoreClock(pool));
  const ownership = openStoreOwnership({ config, keys, temporal }, pool, log);
  const policies = makePolicies({
    pool,
    transaction,
    chain,
    now,
    say,
    folder: config.policies,
    assertOurs: (policySet) => takeStore(ownership, policySet),
  });
  const { isOurs } = ownership;
  return { config, databaseUrl, temporal, pool, now, keys, chain, transaction, policies, isOurs, stopClock };
}

async function main(config: Config): Promise<void> {
  const issuers = parseJwtIssuers(config.jwtIssuers);
  const errors = makeInternalErrors(log);
  const { stopClock, ...foundation } = await layFoundation(config);
  const { databaseUrl, pool, now, keys, chain, transaction, policies } = foundation;
  await waitForStore(() => boot(foundation));
  const lost = makeLostWorkflows(log);
  const client = await makeClient(
    await makeClientDeps(foundation, { onLostWorkflow: lost.note, onInternalError: errors.note }),
  );
  const feed = await makeFeed({ pool, listen: (...asked) => listen(databaseUrl, ...asked) });
  const webhookKey = makeWebhookKey(keys.signing);
  const anonymous = makeAnonymous({ chain, now, log });
  const engines = enginesOf(foundation);
  const deps: ApiDeps = {
    pool,
    transaction,
    isUnavailable,
    payloads: makePayloads({ kek: keys.kek }),
    chain,
    client,
    engines,
    authenticate: makeAuthenticator({
      pool,
      pepper: keys.pepper,
      verifyJwt: makeJwtVerifier(issuers, now),
      policySet: policies.policySet,
      now,
    }),
    ...makeFromKeys(keys, now),
    webhookKey: webhookKey.published,
    policies,
    feed,
    ...{ anonymous, bodies: makeBodyRoom() },
    metrics: makeMetrics(pool, now, { internalErrors: errors.count, lostWorkflows: lost.count }),
    references: { env: process.env, secretsDirectory: config.secrets },
    now,
    log,
    onInternalError: errors.note,
  };
  const server = makeServer(deps);
  const notifier = await startNotifier(foundation, deps, webhookKey);
  const endWaits = (): Promise<void> => {
    client.endWaits();
    return feed.close();
  };
  stopOnSignals(server, endWaits, async () => {
    await notifier.stop();
    await anonymous.close();
    await client.close();
    await engines.close();
    stopClock();
    await pool.end();
  });
  await startListening(server, config);
  watchEventLoop(deps.log);
  client.startOutbox();
  forgetOldKeys(pool, errors.note);
  process.stdout.write(`listening on ${config.host}:${config.port ?? defaultPort}\n`);
}

/** Migrates the store; a store of another deployment is not changed. */
async function prepareStore(
  given: Pick<Foundation, 'config' | 'keys' | 'temporal'>,
  databaseUrl: string,
): Promise<void> {
  await assertOurs(given, databaseUrl, log);
  await migrateWhereAllowed(databaseUrl);
}

function enginesOf({ config, pool, now }: Foundation): ReturnType<typeof makeEngines> {
  const { temporal, taskQueue } = config;
  return makeEngines({ connection: requireSetting(temporal, 'TEMPORAL_ADDRESS'), taskQueue, pool, now, log });
}

function makeFromKeys(
  { kek, pepper }: ServiceKeys,
  now: () => Date,
): Pick<ApiDeps, 'pepper' | 'makeSigningKey' | 'isSigningKeyUnopened' | 'sessions' | 'answerKey'> {
  return {
    pepper,
    makeSigningKey: () => makeSigningKey(kek),
    isSigningKeyUnopened: (key) => isSigningKeyUnopened(kek, key),
    sessions: makeSessions(pepper, now),
    answerKey: Buffer.from(hkdfSync('sha256', kek, Buffer.alloc(0), 'countersign idempotent answers', 32)),
  };
}

/** Removes idempotency keys of more than a day ago, now and every hour. */
function forgetOldKeys(pool: Pool, onInternalError: OnInternalError): void {
  const onFailure = (error: unknown): void => {
    if (!isUnavailable(error)) onInternalError('the removal of old idempotency keys', error);
  };
  const forget = (): void => void purgeOldKeys(pool).catch(onFailure);
  forget();
  setInterval(forget, purgeMs).unref();
}

/** Starts to notify people of approvals, as the other API processes do. The policies have to be loaded before. */
async function startNotifier(
  { databaseUrl }: Foundation,
  deps: ApiDeps,
  webhookKey: WebhookKey,
): Promise<{ stop(): Promise<void> }> {
  const { pool, transaction, chain, policies, metrics, references, now, onInternalError } = deps;
  const deliverer = makeDeliverer({
    pool,
    transaction,
    isUnavailable,
    chain,
    policy: async () => (await policies.policySet())?.notifications ?? null,
    ...makeNotices(deps),
    references,
    webhookKey,
    now,
    observe: metrics.notified,
    onInternalError,
  });
  const listener = await listen(databaseUrl, [notificationChannel], deliverer.wake, deliverer.wake);
  deliverer.start();
  return {
    stop: async () => {
      await listener.close();
      await deliverer.stop();
    },
  };
}

/** Migrates, and ends the process where an operator has to mend the database; goes on where this login may not: in a cluster, `countersign migrate` has done it with a login of its own. */
async function migrateWhereAllowed(databaseUrl: string): Promise<void> {
  try {
    await migrate(databaseUrl);
  } catch (error) {
    const isAllowed = !(error instanceof Error && 'code' in error && error.code === '42501');
    const why = isAllowed ? whyNotMigrated(error) : null;
    if (why !== null) {
      log(`the API ends: ${why}`);
      process.exit(1);
    }
    if (isAllowed) throw error;
    // Whether another login has migrated it is seen from its tables.
    process.stderr.write('this login may not change the schema: `countersign migrate` must have done it\n');
  }
}

async function boot(foundation: Foundation): Promise<void> {
  const { pool, now, keys, chain, transaction, config } = foundation;
  await assertAppendOnly(pool);
  const startId = newId('trc');
  // Before the lock, since loading may take longer than a transaction may be idle.
  const policySet = await loadPolicies(foundation, startId);
  // One process at a time, so that keys are made only once.
  await transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [bootLock]);
    await putSigningKey(tx, { ...keys.signing, sealed: null });
    const signing = await currentSigningKey(tx, keys);
    if (config.devKeys)
      await ensureDevKeys({ pool, transaction, chain, pepper: keys.pepper, home: config.home });
    const data = { process: 'api', policySet, signingKey: signing.keyId };
    await chain.append([
      {
        key: `service.started:${startId}`,
        type: 'service.started',
        time: now().toISOString(),
        actor: runtime,
        traceId: startId,
        data,
      },
    ]);
  });
}

/** Loads the policies folder, and ends the process where it has errors. Gives the hash of the policies in force. */
async function loadPolicies({ policies, config }: Foundation, startId: string): Promise<string> {
  const loaded = await policies.start(runtime, startId);
  if (loaded.status === 'invalid') {
    for (const { file, line, column, message } of loaded.errors)
      process.stderr.write(`${file ?? config.policies}:${line}:${column}: ${message}\n`);
    process.stderr.write(`the policies in \`${config.policies}\` have errors: mend them and start again\n`);
    process.exit(1);
  }
  linesOfLoaded(loaded, config.policies).forEach(say);
  return loaded.hash;
}

function waitForStore<T>(act: () => Promise<T>): Promise<T> {
  const tell = (line: string): void => [log, say].forEach((write) => write(line));
  return retryUntilStoreAnswers('API', tell, act);
}

async function makeClientDeps(
  { config, databaseUrl, pool, now, keys, policies, chain, isOurs, temporal: connection }: Foundation,
  told: Pick<ClientDeps, 'onLostWorkflow' | 'onInternalError'>,
): Promise<ClientDeps> {
  const { environments = [] } = (await policies.policySet()) ?? {};
  const clients = new Map<string, Client>();
  const forNamespace = (namespace: string): Client => {
    const known = clients.get(namespace) ?? new Client({ connection, namespace });
    clients.set(namespace, known);
    return known;
  };
  const [first] = environments;
  return {
    pool,
    databaseUrl,
    chain,
    keys,
    now,
    payloads: makePayloads({ kek: keys.kek }),
    temporal: forNamespace(namespaceOf(first?.name ?? 'dev')),
    forNamespace,
    taskQueue: config.taskQueue,
    isOurs,
    isWorkedFor: makeCopyFinder({ config, temporal: connection }, pool),
    workflowBundle: fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)),
    ...told,
  };
}

process.title = 'countersign api';
goOnUnread();
const config = readConfigOrExit();
main(config).catch(async (error: unknown) => {
  log(await whyEnded('API', error, config));
  process.exit(1);
});
