import { setTimeout as delay } from 'node:timers/promises';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { searchAttributes } from '../../model/names/temporal-names.js';
import type { Say } from '../process/system.js';

export interface PrepareOptions {
  readonly connection: ConnectionOptions & { readonly address: string };
  readonly namespaces: readonly string[];
  readonly signal: AbortSignal;
  readonly say: Say;
}

// gRPC status codes, and Temporal's number for the type Keyword.
const invalidArgument = 3;
const notFound = 5;
const alreadyExists = 6;
const permissionDenied = 7;
const unimplemented = 12;
const keyword = 2;
const serving = 1;

/** Closed histories are kept this long: the auditor replays them. */
const retentionDays = 90;
const retention = msToTs(`${retentionDays} days`);
const usableMs = 60_000;
const heartbeatMs = 8_000;

/**
 * Prepares the namespaces: each exists, keeps closed histories long enough and has our search attributes, and all of that has
 * reached the server that answers. Done again at every start, since it is cheap.
 */
export async function prepareTemporal({
  connection: options,
  namespaces,
  signal,
  say,
}: PrepareOptions): Promise<void> {
  const connection = await connect(options);
  try {
    await Promise.all(
      namespaces.map(async (namespace) => {
        await ensureNamespace(connection, namespace);
        await ensureSearchAttributes(connection, namespace);
        await waitUntilUsable(connection, namespace, { signal, say });
      }),
    );
  } finally {
    await connection.close();
  }
}

/** For a Temporal of our own: gRPC would ask 127.0.0.1 through the proxy of the user's shell. */
export const withoutProxy = { channelArgs: { 'grpc.enable_http_proxy': 0 } };

/** There is no connection to Temporal: the message is for the user. */
export class TemporalAway extends Error {}

async function connect(options: PrepareOptions['connection']): Promise<Connection> {
  try {
    return await Connection.connect(options);
  } catch (error) {
    const { cause = error } = error instanceof Error ? error : {};
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TemporalAway(`Temporal at \`${options.address}\` does not answer as it should (${why})`);
  }
}

async function ensureNamespace(connection: Connection, namespace: string): Promise<void> {
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: retention,
    });
  } catch (error) {
    const code = grpcCode(error);
    // A login that may not register a namespace can still use one that an operator has made.
    if (code !== alreadyExists && code !== permissionDenied && code !== unimplemented) throw error;
  }
  try {
    await updateRetention(connection, namespace);
  } catch (error) {
    if (grpcCode(error) !== permissionDenied && grpcCode(error) !== unimplemented) throw error;
  }
}

async function updateRetention(connection: Connection, namespace: string): Promise<void> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400;
  if (days >= retentionDays) return;
  await connection.workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl: retention },
  });
}

async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  try {
    const { customAttributes } = await retryNotFound(() =>
      connection.operatorService.listSearchAttributes({ namespace }),
    );
    const missing = searchAttributes.filter((name) => customAttributes?.[name] === undefined);
    if (missing.length === 0) return;
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
    });
  } catch (error) {
    // They are there already (another process prepares the same namespace), or this login may not add them: `waitUntilUsable` finds out.
    const code = grpcCode(error);
    if (code !== alreadyExists && code !== permissionDenied && code !== unimplemented) throw error;
  }
}

/** Repeats a call while the namespace is not found: the server's caches may not know yet what was registered a moment ago. */
async function retryNotFound<T>(call: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + usableMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (grpcCode(error) !== notFound || Date.now() > deadline) throw error;
      await delay(200);
    }
  }
}

interface WaitOptions {
  readonly signal: AbortSignal;
  readonly say: Say;
}

/** Waits until a visibility query with the attributes succeeds, since it needs all that a workflow start needs. */
async function waitUntilUsable(
  connection: Connection,
  namespace: string,
  { signal, say }: WaitOptions,
): Promise<void> {
  const query = searchAttributes.map((name) => `${name} = 'none'`).join(' AND ');
  const started = Date.now();
  let said = started;
  for (;;) {
    signal.throwIfAborted();
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      const code = grpcCode(error);
      const settling = code === notFound || code === invalidArgument;
      if (!settling) throw error;
      if (Date.now() - started > usableMs) {
        throw new Error(
          `temporal namespace \`${namespace}\` with the search attributes ${searchAttributes.join(', ')} ` +
            `is not usable: have an operator make it (${error instanceof Error ? error.message : String(error)})`,
        );
      }
    }
    if (Date.now() - said > heartbeatMs) {
      said = Date.now();
      say(`waiting for the temporal namespace \`${namespace}\``);
    }
    await delay(100);
  }
}

/** Waits until the server reports that it serves; false: `giveUp` was aborted first. */
export async function waitUntilHealthy(address: string, giveUp: AbortSignal): Promise<boolean> {
  while (!giveUp.aborted) {
    try {
      // A new connection each time: a connection that was refused waits a second before it tries again.
      const connection = await Connection.connect({ address, connectTimeout: '2s', ...withoutProxy });
      try {
        const service = 'temporal.api.workflowservice.v1.WorkflowService';
        const health = await connection.healthService.check({ service });
        if (health.status === serving) return true;
      } finally {
        await connection.close();
      }
    } catch {
      // Not yet: the server refuses connections, or accepts them and does not answer.
    }
    await delay(100);
  }
  return false;
}

function grpcCode(error: unknown): number | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : null;
}
