import type { ConnectionOptions } from '@temporalio/client';
import { join } from 'node:path';
import { migrate } from '../db/index.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { prepareTemporal, TemporalAway, withoutProxy } from '../embedded/temporal/prepare.js';
import { findTemporal } from '../embedded/temporal/binary.js';
import { prepareDevServer, type TemporalPorts } from '../embedded/temporal/temporal.js';
import { preparePostgres } from '../embedded/postgres/postgres.js';
import type { PortBook } from '../embedded/process/ports.js';
import type { Say } from '../embedded/process/system.js';
import { placeOf, type Config } from './config.js';
import { findDatabaseProblem } from './database.js';
import type { ProcessGroup } from './children/process-group.js';

export interface Boot {
  readonly config: Config;
  readonly processGroup: ProcessGroup;
  readonly ports: PortBook;
  readonly say: Say;
  readonly signal: AbortSignal;
  /** Registers a function to call once everything has stopped. */
  readonly atEnd: (close: () => Promise<void>) => void;
}

/** An expected failure at the start: its message is for the user. */
export class BootFailure extends Error {}

/** The URL of the database: the configured database, or our own, started, with its tables up to date. */
export async function bringUpDatabase(boot: Boot): Promise<string> {
  // The API migrates a configured database, once it knows that it is this deployment's.
  const { databaseUrl } = boot.config;
  if (databaseUrl !== null) {
    boot.say(`using the Postgres of DATABASE_URL${placeOf(databaseUrl) ?? ''}`);
    const problem = await findDatabaseProblem(databaseUrl, 'correct or unset DATABASE_URL');
    if (problem?.isAway === false) throw new BootFailure(problem.message);
    if (problem !== null) boot.say(problem.message);
    return databaseUrl;
  }
  const url = await startEmbeddedDatabase(boot);
  const { applied, notices } = await migrate(url);
  notices.forEach(boot.say);
  if (applied.length > 0) boot.say(`database: applied ${applied.join(', ')}`);
  return url;
}

async function startEmbeddedDatabase({
  config,
  processGroup,
  ports,
  say,
  signal,
  atEnd,
}: Boot): Promise<string> {
  const postgres = await preparePostgres({
    home: config.home,
    choosePort: () => ports.obtain('postgres'),
    say,
  });
  const { port } = postgres;
  atEnd(() => postgres.close());
  const log = join(config.home, 'logs', 'postgres.log');
  signal.throwIfAborted();
  await processGroup.add('servers', { name: 'postgres', port, log, start: (stop) => postgres.launch(stop) })
    .started;
  await postgres.createDatabase('countersign');
  say(`postgres answers on 127.0.0.1:${port}`);
  return postgres.url('countersign');
}

/** The address of a Temporal server with our namespaces: the configured server, or our own, started. */
export async function bringUpTemporal(boot: Boot, environments: readonly string[]): Promise<string> {
  const { config, say, signal } = boot;
  const namespaces = environments.map(namespaceOf);
  const connection: ConnectionOptions & { address: string } = config.temporal ?? {
    address: await startEmbeddedTemporal(boot, namespaces),
    ...withoutProxy,
  };
  if (config.temporal !== null) say(`using the Temporal of TEMPORAL_ADDRESS (\`${connection.address}\`)`);
  try {
    await prepareTemporal({ connection, namespaces, signal, say });
  } catch (error) {
    if (config.temporal === null || !(error instanceof TemporalAway)) throw error;
    throw new BootFailure(`${error.message}: start it, or correct or unset TEMPORAL_ADDRESS`);
  }
  say(`temporal answers on ${connection.address}`);
  return connection.address;
}

async function startEmbeddedTemporal(boot: Boot, namespaces: readonly string[]): Promise<string> {
  const { config, processGroup, say, signal } = boot;
  const binary = await findTemporal({ say, signal });
  if (binary.status === 'missing') throw new BootFailure(binary.message);
  const choosePorts = async (): Promise<TemporalPorts> => ({
    grpc: await boot.ports.obtain('temporal'),
    http: await boot.ports.obtain('temporalHttp'),
    metrics: await boot.ports.obtain('temporalMetrics'),
  });
  const server = await prepareDevServer({
    binary: binary.path,
    home: config.home,
    choosePorts,
    namespaces,
    say,
  });
  const log = join(config.home, 'logs', 'temporal.log');
  signal.throwIfAborted();
  await processGroup.add('servers', {
    name: 'temporal',
    port: server.ports.grpc,
    log,
    start: (stop) => server.launch(stop),
  }).started;
  return server.address;
}
