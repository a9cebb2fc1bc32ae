import {
  type Client,
  isGrpcServiceError,
  type WorkflowExecutionDescription,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import type { Bell } from '../model/message.js';
import { searchAttributes } from '../model/names/temporal-names.js';
import type { RunRow } from '../store/runs/runs.js';
import type { RunInput } from '../workflows/messages.js';
import { kernelVersion } from '../workflows/versions.js';
import type { ClientDeps } from './deps.js';
import { isPolled } from './pollers.js';

const [flowName, modeName] = searchAttributes;
const flowKey = defineSearchAttributeKey(flowName, 'KEYWORD');
const modeKey = defineSearchAttributeKey(modeName, 'KEYWORD');

/** gRPC status codes: deadline exceeded, unavailable. */
const lostCodes: readonly number[] = [4, 14];
const deadlineMs = 5_000;
/** The signal that has a run look at the store. */
const wake = 'wake';

export function isUnavailable(error: unknown): boolean {
  if (isGrpcServiceError(error)) return lostCodes.includes(error.code);
  const cause = error instanceof Error ? error.cause : undefined;
  return cause !== undefined && isUnavailable(cause);
}

/** Where a run's workflow is: the part of the run's row that Temporal is told. */
export type Place = Pick<RunRow, 'id' | 'namespace' | 'flow' | 'mode' | 'leftTo'>;

/** The options that start a run's workflow. Its id is the run's, so that it is started only once. */
function startOptions(taskQueue: string, { id, flow, mode }: Place, start: Bell) {
  const input: RunInput = { kernel: kernelVersion, start, carried: null };
  return {
    workflowId: id,
    taskQueue,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    // A task whose worker has died goes to another worker after this long (10 s by default).
    workflowTaskTimeout: '5s',
    typedSearchAttributes: new TypedSearchAttributes([
      { key: flowKey, value: flow },
      { key: modeKey, value: mode },
    ]),
  } as const;
}

/**
 * What became of a bell. `unsure`: it may have reached the workflow. `gone`: there is no open workflow, which does not mean that
 * the run has ended: only the store says that. `elsewhere`: the run is another deployment's, and no bell was sent.
 */
export type Rung = 'rung' | 'unsure' | 'unavailable' | 'gone' | 'elsewhere';

/** Starts the run's workflow, with the bell of its first message if there is one. Starting it again has no further effect. */
export async function startRun(
  deps: ClientDeps,
  place: Place,
  start: Bell,
  first: Bell | null,
): Promise<Rung> {
  const client = deps.forNamespace(place.namespace);
  const options = startOptions(deps.taskQueue, place, start);
  return sendBell(deps, place.namespace, () =>
    client.withDeadline(Date.now() + deadlineMs, async () => {
      if (first === null) await startOnce(client, options);
      else
        await client.workflow.signalWithStart('run', { ...options, signal: first.kind, signalArgs: [first] });
    }),
  );
}

/** Starts the workflow, unless the outbox of another process has done so; then an empty signal tells whether that workflow is open. */
async function startOnce(client: Client, options: ReturnType<typeof startOptions>): Promise<void> {
  try {
    await client.workflow.start('run', { ...options, workflowIdConflictPolicy: 'FAIL' });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await client.workflow.getHandle(options.workflowId).signal(wake);
  }
}

/**
 * Starts a workflow for an open run that has none; if somebody else has started it meanwhile, only rings. The new workflow knows how
 * far the run is, but not how it came there.
 */
export async function startAgain(
  deps: ClientDeps,
  row: RunRow,
  start: Bell,
  bell: Bell | null,
): Promise<Rung> {
  const client = deps.forNamespace(row.namespace);
  const { rev, state, status, version } = row;
  const known = { rev, digest: null, head: '', state, status, version, wakeAt: null, dropped: false };
  const input: RunInput = { kernel: kernelVersion, start, carried: rev === 0 ? null : known };
  const bells: Bell[] = bell === null ? [] : [bell];
  return sendBell(deps, row.namespace, () =>
    client.withDeadline(Date.now() + deadlineMs, () =>
      client.workflow.signalWithStart('run', {
        ...startOptions(deps.taskQueue, row, start),
        args: [input],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        signal: bell?.kind ?? wake,
        signalArgs: bells,
      }),
    ),
  );
}

/**
 * Why our workers get no tasks of a run from Temporal: no workflow is open under its id (`gone`); or the open workflow is a
 * stranger's, or somebody who may write to the namespace has paused it or pinned it to other workers.
 */
export type Unserved = 'gone' | 'foreign' | 'paused' | 'pinned';

export type FoundUnserved =
  | { readonly why: 'gone' }
  /** `execution`: the workflow execution that is open. */
  | { readonly why: Exclude<Unserved, 'gone'>; readonly execution: string }
  /** The run is, or may be, another deployment's: its workflow is, or was when it ended, on a task queue that others serve. */
  | { readonly why: 'elsewhere'; readonly taskQueue: string };

/** Null: our workers get the run's tasks. Rejects if Temporal does not say. */
export async function whyUnserved(
  deps: ClientDeps,
  { id, namespace, leftTo }: Place,
): Promise<FoundUnserved | null> {
  // Without a look at the workflow: that deployment may have moved to another queue, and Temporal forgets ended workflows.
  if (leftTo !== null) return { why: 'elsewhere', taskQueue: leftTo };
  const client = deps.forNamespace(namespace);
  try {
    const found = await client.withDeadline(Date.now() + deadlineMs, () =>
      client.workflow.getHandle(id).describe(),
    );
    const { type, taskQueue, runId: execution } = found;
    const isAnothers = type === 'run' && taskQueue !== deps.taskQueue;
    if (isAnothers && (await deps.isWorkedFor(namespace, taskQueue))) return { why: 'elsewhere', taskQueue };
    if (found.closeTime !== undefined) return { why: 'gone' };
    const why = whyHeld(deps, found);
    return why === null ? null : { why, execution };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { why: 'gone' };
    throw error;
  }
}

const pausedStatus = 8;
const pinnedBehavior = 1;

function whyHeld(
  { taskQueue }: ClientDeps,
  found: WorkflowExecutionDescription,
): Exclude<Unserved, 'gone'> | null {
  if (found.type !== 'run' || found.taskQueue !== taskQueue) return 'foreign';
  const { workflowExecutionInfo: info, pendingActivities } = found.raw;
  if (
    Number(info?.status) === pausedStatus ||
    pendingActivities?.some(({ paused }) => paused === true) === true
  )
    return 'paused';
  const override = info?.versioningInfo?.versioningOverride ?? null;
  if (override === null) return null;
  const { pinned, behavior, pinnedVersion } = override;
  return (pinned ?? null) !== null || behavior === pinnedBehavior || (pinnedVersion ?? '') !== ''
    ? 'pinned'
    : null;
}

/** Ends exactly this execution, not a later one with the same id. Rejects if Temporal does not end it. */
export async function endExecution(
  deps: ClientDeps,
  { id, namespace }: Place,
  execution: string,
  reason: string,
): Promise<void> {
  const client = deps.forNamespace(namespace);
  try {
    await client.withDeadline(Date.now() + deadlineMs, () =>
      client.workflow.getHandle(id, execution).terminate(reason),
    );
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Has the run's workflow look at the store, where it finds out if the two differ. */
export async function look(deps: ClientDeps, { id, namespace }: Place): Promise<Rung> {
  const client = deps.forNamespace(namespace);
  return sendBell(deps, namespace, () =>
    client.withDeadline(Date.now() + deadlineMs, () => client.workflow.getHandle(id).signal(wake)),
  );
}

/** Rings for a message of the store. `start` is the bell of the run's start if its workflow may not exist yet. */
export async function ring(deps: ClientDeps, place: Place, bell: Bell, start: Bell | null): Promise<Rung> {
  if (start !== null) return startRun(deps, place, start, bell);
  const client = deps.forNamespace(place.namespace);
  return sendBell(deps, place.namespace, () =>
    client.withDeadline(Date.now() + deadlineMs, () =>
      client.workflow.getHandle(place.id).signal<[unknown]>(bell.kind, bell),
    ),
  );
}

async function sendBell(deps: ClientDeps, namespace: string, send: () => Promise<unknown>): Promise<Rung> {
  if (!(await isOurs(deps, namespace))) return 'unavailable';
  try {
    await send();
    return 'rung';
  } catch (error) {
    // A signal that starts is refused for a workflow that has ended.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'gone';
    if (error instanceof WorkflowNotFoundError) return 'gone';
    if (isUnavailable(error)) return isGrpcServiceError(error) && error.code === 4 ? 'unsure' : 'unavailable';
    deps.onInternalError('a bell, which Temporal refuses', error);
    return 'unsure';
  }
}

/** False also if Temporal does not say: then nothing is sent. */
async function isOurs(deps: ClientDeps, namespace: string): Promise<boolean> {
  try {
    return await deps.isOurs(namespace);
  } catch (error) {
    if (!isUnavailable(error)) deps.onInternalError('whose the runs of the store are', error);
    return false;
  }
}

/** Does Temporal answer, and does a worker poll the task queue? */
export async function health(deps: ClientDeps): Promise<{ temporal: boolean; worker: boolean }> {
  try {
    return await deps.temporal.withDeadline(Date.now() + 2_000, async () => {
      const { connection, options } = deps.temporal;
      await connection.workflowService.getSystemInfo({});
      const queue = { namespace: options.namespace, taskQueue: deps.taskQueue };
      return { temporal: true, worker: await isPolled(connection, queue, deps.now()) };
    });
  } catch {
    return { temporal: false, worker: false };
  }
}
