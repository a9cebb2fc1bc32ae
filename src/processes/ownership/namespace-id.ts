import type { ConnectionLike } from '@temporalio/client';

// Asks Temporal about a namespace, with a bound on the wait.

/** How long a process waits for an answer from Temporal. */
export const patienceMs = 3_000;

/** Asks with a deadline, since a lazy connection would wait for its server for ever. */
export function askInTime<T>(connection: ConnectionLike, ask: () => Promise<T>): Promise<T> {
  return connection.withDeadline(Date.now() + patienceMs, ask);
}

/** Temporal's id of a namespace; null: it has none of that name. */
export async function namespaceIdOf(connection: ConnectionLike, namespace: string): Promise<string | null> {
  try {
    const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace });
    return namespaceInfo?.id ?? null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === notFound) return null;
    throw error;
  }
}

/** The status code of gRPC. */
const notFound = 5;

/** The answer, or `late` where none comes within `patienceMs`. What was asked goes on. */
export async function waitOrLate<T>(answer: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), patienceMs);
    timer.unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
