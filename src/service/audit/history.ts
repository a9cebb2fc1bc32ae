import type { ReconstructionJson } from '../../model/contract/answer-types.js';
import type { RunClient } from '../../client/types.js';
import type { Caller } from '../caller.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { visibleRun } from '../runs/visible.js';
import { reconstruct } from './reconstruction.js';

// What a run has done, for those who may see it: reconstructed from the record, as Temporal's history, and replayed.

/** Each action of a run, reconstructed from the record, with what is missing. */
export async function reconstructRun(
  caller: Caller,
  run: string,
): Promise<{ readonly kind: 'reconstruction'; readonly body: ReconstructionJson } | Refusal> {
  const refused = refuseCaller(caller, 'reconstructRun');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return found;
  return { kind: 'reconstruction', body: await reconstruct(caller, found.row) };
}

/** Temporal's history of the run. */
export async function historyOfRun(
  caller: Caller,
  run: string,
): Promise<
  | { readonly kind: 'history'; readonly history: NonNullable<Awaited<ReturnType<RunClient['history']>>> }
  | Refusal
> {
  const refused = refuseCaller(caller, 'runHistory');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return found;
  const history = await caller.deps.client.history(run);
  return history === null ? notFound('history of run', run) : { kind: 'history', history };
}

/** Replays the run's history on this build, and compares it with the record. */
export async function replayRun(
  caller: Caller,
  run: string,
): Promise<
  | { readonly kind: 'replayed'; readonly report: Exclude<Awaited<ReturnType<RunClient['replay']>>, 'busy'> }
  | Refusal
> {
  const refused = refuseCaller(caller, 'replayRun');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return found;
  const report = await caller.deps.client.replay(run);
  return report === 'busy'
    ? refusal('RATE_LIMITED', 'too many replays are waiting in this process: try again', {}, 5)
    : { kind: 'replayed', report };
}
