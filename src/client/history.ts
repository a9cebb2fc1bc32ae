import { WorkflowNotFoundError } from '@temporalio/client';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import type { Json } from '../model/json.js';
import { getRun } from '../store/runs.js';
import type { ClientDeps } from './deps.js';

/** Temporal's own history of a run; null when Temporal has none. */
export async function rawHistory(deps: ClientDeps, run: string): Promise<History | null> {
  const row = await getRun(deps.pool, run);
  if (row === null) return null;
  try {
    return await deps.forNamespace(row.namespace).workflow.getHandle(run).fetchHistory();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

export async function historyOf(deps: ClientDeps, run: string): Promise<{ events: readonly Json[] } | null> {
  const history = await rawHistory(deps, run);
  if (history === null) return null;
  return JSON.parse(historyToJSON(history)) as { events: readonly Json[] };
}
