import { bellOf } from '../auth/index.js';
import { storeTime, withTransaction } from '../db/index.js';
import { closedStatuses } from '../engine/state.js';
import { startMessageId } from '../model/names/derived-ids.js';
import type { Bell, SealedMessage } from '../model/message.js';
import { getMessage } from '../store/runs/messages.js';
import { getRun, lockRun, showUnstepped, type RunRow } from '../store/runs/runs.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

// A run is reached through its workflow, but only the store says whether the run is closed. An open run without an open workflow
// gets a new one. The new one knows nothing of the run's past, so its first step makes the run stuck, which an operator resolves.

/** Rings for a message of the store. If the run has taken no step, its workflow may not exist yet, and the bell starts it. */
export async function ringFor(deps: ClientDeps, row: RunRow, message: SealedMessage): Promise<temporal.Rung> {
  const mayBeOthers = row.leftTo !== null || row.problem?.code === forked;
  const unrung = mayBeOthers ? await whyUnrung(deps, row) : null;
  if (unrung !== null) return unrung;
  const bell = bellOf(message);
  if (message.kind === 'start') {
    const started = await temporal.startRun(deps, row, bell, null);
    return started === 'gone' ? startIfOurs(deps, row, null) : started;
  }
  const start = row.rev > 0 ? null : await getMessage(deps.pool, startMessageId(row.id));
  const rung = await temporal.ring(deps, row, bell, start === null ? null : bellOf(start));
  return rung === 'gone' ? startIfOurs(deps, row, bell) : rung;
}

/** Starts a new workflow, unless the one that ended was another deployment's, which may have ended its own run. */
async function startIfOurs(deps: ClientDeps, row: RunRow, bell: Bell | null): Promise<temporal.Rung> {
  return (await whyUnrung(deps, row)) ?? startRunAgain(deps, row.id, bell);
}

/**
 * Gives a run that is open in the store a new workflow if it has none that our workers serve, and ends any other workflow under
 * its id. `elsewhere`: the run is another deployment's; nothing was changed, and nothing may be rung for.
 */
export async function lookAfter(
  deps: ClientDeps,
  run: temporal.Place,
): Promise<'served' | 'startedAgain' | 'elsewhere'> {
  // Where the runs belong to another Temporal, this Temporal says nothing about them.
  if (!(await deps.isOurs(run.namespace, 'now'))) return 'elsewhere';
  const found = await temporal.whyUnserved(deps, run);
  if (found === null) return 'served';
  if (found.why === 'elsewhere') {
    await leaveToOther(deps, run.id, found.taskQueue);
    return 'elsewhere';
  }
  if (found.why !== 'gone')
    await temporal.endExecution(
      deps,
      run,
      found.execution,
      `no worker of run ${run.id} takes it (${found.why})`,
    );
  await startRunAgain(deps, run.id, null, found.why);
  return 'startedAgain';
}

const forked = 'HISTORY_FORKED';

/**
 * Why nothing is rung for a run that may be another deployment's: `elsewhere` where it is, which the run then shows, and
 * `unavailable` where Temporal does not say. Null: the run is this deployment's.
 */
async function whyUnrung(deps: ClientDeps, run: temporal.Place): Promise<'elsewhere' | 'unavailable' | null> {
  const found = await temporal.whyUnserved(deps, run).catch((error: unknown) => {
    if (!temporal.isUnavailable(error))
      deps.onInternalError(`whose the workflow of run \`${run.id}\` is`, error);
    return 'unavailable' as const;
  });
  if (found === 'unavailable') return found;
  if (found?.why !== 'elsewhere') return null;
  await leaveToOther(deps, run.id, found.taskQueue);
  return found.why;
}

/** Marks the run as stuck, so that it takes no step here: it belongs to another deployment, of whose store this store is a copy. */
async function leaveToOther(deps: ClientDeps, id: string, taskQueue: string): Promise<void> {
  const message = `the run belongs to another deployment, on the task queue \`${taskQueue}\`, of whose store this store may be a copy: that deployment goes on with the run, and nothing of it is done here`;
  const next = `ask the other deployment for the run; if it no longer exists, stop this one, run \`countersign migrate --forget-temporal\` with COUNTERSIGN_TASK_QUEUE=${taskQueue} and start it again`;
  const left = await withTransaction(deps.pool, async (tx) => {
    const row = await lockRun(tx, id);
    const shown = { status: 'stuck', problem: { code: forked, message, next } } as const;
    if (row === null || !(await showUnstepped(tx, id, shown))) return null;
    const time = await storeTime(tx);
    await deps.chain.appendIn(tx, [
      {
        // A record each time: in between, the run may have come back to this deployment.
        key: `${id}:elsewhere:${time}`,
        type: 'run.stuck',
        time,
        actor: { kind: 'runtime', id: 'countersign' },
        data: { code: forked, message, state: row.state },
        about: id,
      },
    ]);
    return row;
  });
  if (left !== null) deps.onLostWorkflow(left, 'elsewhere');
}

/** `gone`: the run has ended, which the store says; it is read after Temporal has said that no workflow is open. */
async function startRunAgain(
  deps: ClientDeps,
  run: string,
  bell: Bell | null,
  why: temporal.Unserved = 'gone',
): Promise<temporal.Rung> {
  const row = await getRun(deps.pool, run);
  const start = await getMessage(deps.pool, startMessageId(run));
  if (row === null || closedStatuses.includes(row.status) || start === null || start.isWithdrawn)
    return 'gone';
  const rung = await temporal.startAgain(deps, row, bellOf(start), bell);
  if (rung === 'rung') deps.onLostWorkflow(row, why);
  return rung;
}
