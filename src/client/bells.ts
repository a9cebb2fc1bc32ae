import { bellOf } from '../auth/index.js';
import { closedStatuses } from '../engine/state.js';
import { startMessageId } from '../model/ids.js';
import type { Bell, SealedMessage } from '../model/message.js';
import { getMessage } from '../store/messages.js';
import { getRun, type RunRow } from '../store/runs.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

// A run is told by its workflow, and the store alone says that a run is closed: where an open run has no open workflow, it
// gets one. That one has none of the run's past, so its first step makes the run stuck, on record, and an operator goes on.

/** Rings for a message of the store. A run that has taken no step may not be started yet: its bell starts it too. */
export async function ringFor(deps: ClientDeps, row: RunRow, message: SealedMessage): Promise<temporal.Rung> {
  const bell = bellOf(message);
  if (message.kind === 'start') {
    const started = await temporal.startRun(deps, row, bell, null);
    return started === 'gone' ? startAgain(deps, row.id, null) : started;
  }
  const start = row.rev > 0 ? null : await getMessage(deps.pool, startMessageId(row.id));
  const rung = await temporal.ring(deps, row, bell, start === null ? null : bellOf(start));
  return rung === 'gone' ? startAgain(deps, row.id, bell) : rung;
}

/**
 * Has the run no open workflow that our workers serve, though the store says that it is open? Then it gets one, and what
 * stands in its place under its id is ended.
 */
export async function lookAfter(deps: ClientDeps, run: temporal.Place): Promise<void> {
  // What another deployment's Temporal knows nothing of is not lost.
  if (!(await deps.isOurs(run.namespace, 'now'))) return;
  const unserved = await temporal.whyUnserved(deps, run);
  if (unserved === null) return;
  const { why, execution } = unserved;
  if (execution !== null)
    await temporal.endExecution(deps, run, execution, `no worker of run ${run.id} takes it (${why})`);
  await startAgain(deps, run.id, null, why);
}

/** `gone`: the store knows why, which is read after Temporal has said so. */
async function startAgain(
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
