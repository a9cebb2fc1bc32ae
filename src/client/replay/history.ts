import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { historyToJSON, type History } from './history-json.js';
import { makeTurns, type Turn } from '../../model/give-way.js';
import type { Json } from '../../model/values/json.js';
import { getRun } from '../../store/runs/runs.js';
import type { ClientDeps } from '../deps.js';

/** A history of a run. A run has several after it continued as new, or after another workflow took its place. */
export interface RunHistory {
  /** Temporal's own id of the execution. */
  readonly execution: string;
  readonly history: History;
  /** The events, each as JSON in Temporal's notation. */
  readonly events: readonly string[];
}

export interface Histories {
  /** Oldest first. */
  readonly histories: readonly RunHistory[];
  /** How many older histories were not read, because all of them together are too large to be read at once. */
  readonly unread: number;
}

/** Most JSON that is read at once, of all histories together. The newest history is always read. */
const mostBytes = 16 * 1024 * 1024;
/** Each history costs a call to the server. */
const mostHistories = 500;

/** Reads the histories that Temporal has under the run's id, whoever began them; null where it has none. */
export async function readHistories(deps: ClientDeps, run: string): Promise<Histories | null> {
  const row = await getRun(deps.pool, run);
  if (row === null) return null;
  const client = deps.forNamespace(row.namespace);
  const executions = await listExecutions(client, run);
  const histories: RunHistory[] = [];
  const turn = makeTurns();
  let [read, bytes] = [0, 0];
  for (const execution of executions.slice(0, mostHistories)) {
    const history = await fetchHistory(client, run, execution);
    const events = await eventsOf(history, turn);
    bytes += events.reduce((sum, event) => sum + Buffer.byteLength(event), 0);
    if (bytes > mostBytes && histories.length > 0) break;
    read += 1;
    if (history !== null) histories.unshift({ execution, history, events });
  }
  return histories.length === 0 ? null : { histories, unread: executions.length - read };
}

interface Events {
  readonly events: readonly Json[];
}

/** Converts one event at a time and gives way in between: a history takes megabytes, and an event up to 2 MiB. */
async function eventsOf(history: History | null, turn: Turn): Promise<string[]> {
  const events: string[] = [];
  for (const event of history?.events ?? []) {
    const [read] = (JSON.parse(historyToJSON({ events: [event] })) as Events).events;
    events.push(JSON.stringify(read));
    await turn();
  }
  return events;
}

/** Execution ids, the newest first. The newest is looked up by the run's id, since the server lists new executions late. */
async function listExecutions(client: Client, run: string): Promise<readonly string[]> {
  const found = new Map<string, number>();
  for await (const { runId, startTime } of client.workflow.list({ query: `WorkflowId = '${run}'` }))
    found.set(runId, startTime.getTime());
  try {
    const { runId, startTime } = await client.workflow.getHandle(run).describe();
    found.set(runId, startTime.getTime());
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
  return [...found].sort(([, a], [, b]) => b - a).map(([execution]) => execution);
}

/** Null: the server has deleted the history meanwhile. */
async function fetchHistory(client: Client, run: string, execution: string): Promise<History | null> {
  try {
    return await client.workflow.getHandle(run, execution).fetchHistory();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** The events of all histories, the oldest history first, in Temporal's notation. `omitted`: how many older histories are left out. */
export async function historyOf(
  deps: ClientDeps,
  run: string,
): Promise<{ events: readonly Json[]; omitted?: number } | null> {
  const read = await readHistories(deps, run);
  if (read === null) return null;
  const turn = makeTurns();
  const events: Json[] = [];
  for (const text of read.histories.flatMap((history) => history.events)) {
    events.push(JSON.parse(text) as Json);
    await turn();
  }
  return read.unread === 0 ? { events } : { events, omitted: read.unread };
}
