import { ApplicationFailure, Context } from '@temporalio/activity';
import { isUnavailable } from '../db/index.js';
import { getListedRun } from '../store/runs.js';
import type { ActivityDeps } from './deps.js';
import { execute } from './execute/execute.js';
import { beatWhileAllowed } from './execute/heartbeats.js';
import { refuseStart } from './step/giving-up.js';
import { step } from './step/step.js';
import type { RunActivities } from './types.js';

export { makeDeps, type ActivityDeps } from './deps.js';
export { callSlots, countSlotWaits } from './execute/call-slots.js';

/** Failures of our own code over one action in one process, before its effect is left for a person to settle. */
const mostFailures = 3;
const rememberedActions = 1_000;

/** Binds the activities of a run to Temporal's activity context, in the process that the store knows by this id. */
export function makeActivities(deps: ActivityDeps, process: string): RunActivities {
  const { onInternalError, onStoreWait } = deps;
  const failures = new Map<string, number>();
  return {
    step: async (input) => {
      const { info } = Context.current();
      // From here on its input is one that our own kernel made.
      if (!info.isLocal || !isNamed(input?.run))
        throw ApplicationFailure.nonRetryable('a step is taken by its own run alone', 'NOT_THE_RUN');
      try {
        // An answer, so that a workflow which is not the run's own ends with it.
        if (!(await isInNamespace(deps, input.run))) return await refuseStart(deps, input, 'wrong_run');
        const result = await step(deps, input);
        // Of what the kernel itself threw this is the only word.
        if (input.gaveUp !== null) onInternalError(`run \`${input.run}\`, which is given up`, input.gaveUp);
        return result;
      } catch (error) {
        if (isUnavailable(error)) {
          onStoreWait();
          return { status: 'waiting' };
        }
        onInternalError(`a step of run \`${input.run}\``, error);
        throw error;
      }
    },
    execute: async (input) => {
      const context = Context.current();
      const run = input?.run;
      const isOwn = async (id: string): Promise<boolean> =>
        isInNamespace(deps, id).catch((error: unknown) => {
          if (isUnavailable(error)) onStoreWait();
          throw error;
        });
      if (context.info.isLocal || !isNamed(run) || !(await isOwn(run)))
        throw ApplicationFailure.nonRetryable('an action is executed by its own run alone', 'NOT_THE_RUN');
      const beat = beatWhileAllowed(() => context.heartbeat());
      try {
        return await execute(deps, input, {
          owner: ownerOf(context),
          process,
          tries: context.info.attempt,
          shutdown: shutdownSignal(context),
          allow: beat.allow,
          isLate: beat.isLate,
        });
      } catch (error) {
        if (error instanceof ApplicationFailure) throw error;
        if (isUnavailable(error)) {
          onStoreWait();
          throw error;
        }
        onInternalError(`action \`${input.action}\` of run \`${input.run}\``, error);
        throw countFailure(failures, input.action, error);
      } finally {
        beat.stop();
      }
    },
  };
}

/** The tries of one activity are one execution: Temporal makes another only when the one before has ended or is lost. */
function ownerOf({ info: { workflowExecution, activityId } }: Context): string {
  return `${workflowExecution?.runId ?? ''}/${activityId}`;
}

/**
 * It is a workflow of our type and of the run's name that asks: whoever may write to Temporal can have any workflow of
 * theirs call an activity of ours, with anything.
 */
function isNamed(run: unknown): run is string {
  const { workflowExecution, workflowType } = Context.current().info;
  return typeof run === 'string' && workflowType === 'run' && workflowExecution?.workflowId === run;
}

/** And in the run's own namespace. Rejects while the store, which knows it, is away: nothing is done unasked. */
async function isInNamespace({ pool }: ActivityDeps, run: string): Promise<boolean> {
  const { workflowNamespace } = Context.current().info;
  const namespace = namespaces.get(run) ?? (await readNamespace(pool, run));
  // A run that the store does not know is refused by its first step, on record.
  return workflowNamespace !== undefined && (namespace === null || namespace === workflowNamespace);
}

const namespaces = new Map<string, string>();
const rememberedRuns = 10_000;

async function readNamespace(pool: ActivityDeps['pool'], run: string): Promise<string | null> {
  const row = await getListedRun(pool, run);
  if (row === null) return null;
  if (namespaces.size >= rememberedRuns) namespaces.clear();
  namespaces.set(run, row.namespace);
  return row.namespace;
}

function countFailure(failures: Map<string, number>, action: string, error: unknown): unknown {
  const count = (failures.get(action) ?? 0) + 1;
  if (failures.size >= rememberedActions) failures.clear();
  failures.set(action, count);
  if (count < mostFailures) return error;
  failures.delete(action);
  const message = error instanceof Error ? error.message : String(error);
  return ApplicationFailure.nonRetryable(message.slice(0, 300).toWellFormed(), 'EXECUTE_FAILED');
}

/** A cancelled run lets its effect finish; a worker that stops does not. */
function shutdownSignal(context: Context): AbortSignal {
  const controller = new AbortController();
  context.cancelled.catch((error: unknown) => {
    if (error instanceof Error && error.message === 'WORKER_SHUTDOWN') controller.abort(error);
  });
  return controller.signal;
}
