import { ApplicationFailure, Context } from '@temporalio/activity';
import { PayloadKeyUnopened } from '../audit/index.js';
import { isUnavailable } from '../db/index.js';
import { isId } from '../model/names/ids.js';
import { findCallState } from '../store/runs/actions.js';
import { getListedRun } from '../store/runs/runs.js';
import type { ActivityDeps } from './deps.js';
import { execute } from './execute/execute.js';
import { beatWhileAllowed } from './execute/heartbeats.js';
import { refuseStart } from './step/giving-up.js';
import { step } from './step/step.js';
import { showUnopened } from './step/unopened.js';
import type { ExecuteInput, RunActivities } from './types.js';

export { makeDeps, type ActivityDeps } from './deps.js';
export { callSlots, countSlotWaits } from './execute/call-slots.js';

/** So many failures of our own code over an action, in one process, and its effect is left for a person to settle. */
const mostFailures = 3;
const rememberedActions = 1_000;

/** Binds the activities of a run to Temporal's activity context. `process`: this process, by its id in the store. */
export function makeActivities(
  deps: ActivityDeps,
  process: string,
): RunActivities & { readonly default: typeof refuseUnknown } {
  const { onInternalError, onStoreWait } = deps;
  const failures = new Map<string, number>();
  return {
    step: async (input) => {
      const { info } = Context.current();
      // Only our own kernel's input passes this check.
      if (!info.isLocal || !isAskedByRun(input?.run)) throw refusal('a step is taken by its own run alone');
      try {
        // Answered and not thrown, so that a workflow that is not the run's own ends.
        if (!(await isInNamespace(deps, input.run))) return await refuseStart(deps, input, 'wrong_run');
        const result = await step(deps, input);
        // What the kernel itself threw is reported nowhere else.
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
      const isMeant = !context.info.isLocal && isAskedByRun(run) && isId('act', input.action);
      if (!isMeant || !(await isOwn(run))) throw refusal('an action is executed by its own run alone');
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
        if (error instanceof PayloadKeyUnopened) throw await noteUnopened(deps, input, error, context);
        onInternalError(`action \`${input.action}\` of run \`${input.run}\``, error);
        throw countFailure(failures, input.action, error);
      } finally {
        beat.stop();
      }
    },
    default: refuseUnknown,
  };
}

const refusal = (why: string): ApplicationFailure => ApplicationFailure.nonRetryable(why, 'NOT_THE_RUN');

/** Stands for activities of any other name: Temporal would try these again for as long as the stranger who asks has said. */
const refuseUnknown = (): Promise<never> => Promise.reject(refusal('there is no such activity'));

/** The tries of an activity are one execution: Temporal begins another try only when the try before has ended or is lost. */
function ownerOf({ info: { workflowExecution, activityId } }: Context): string {
  return `${workflowExecution?.runId ?? ''}/${activityId}`;
}

/**
 * Does a workflow of our type and of the run's name ask? Whoever may write to Temporal can have any workflow of theirs call an
 * activity of ours, with any input.
 */
function isAskedByRun(run: unknown): run is string {
  const { workflowExecution, workflowType } = Context.current().info;
  return isId('run', run) && workflowType === 'run' && workflowExecution?.workflowId === run;
}

/** Is that workflow in the run's own namespace? Rejects while the store is away, which knows the namespace. */
async function isInNamespace({ pool }: ActivityDeps, run: string): Promise<boolean> {
  const { workflowNamespace } = Context.current().info;
  const namespace = namespaces.get(run) ?? (await readNamespace(pool, run));
  // A run that the store does not know passes: its first step refuses it, on record.
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

/** No failure of our own code: it is tried until the key opens, in whichever worker takes the next try, and meanwhile the run shows why. */
async function noteUnopened(
  deps: ActivityDeps,
  { run, action }: ExecuteInput,
  unopened: PayloadKeyUnopened,
  { info }: Context,
): Promise<PayloadKeyUnopened> {
  if (info.attempt >= mostFailures)
    await showUnopened(
      deps,
      run,
      unopened,
      async (tx, { executing }) => executing === action && (await findCallState(tx, action)) !== 'under_way',
    );
  return unopened;
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
