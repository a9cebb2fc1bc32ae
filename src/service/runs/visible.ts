import { getListedRun, getVisibleRun, type ListedRun } from '../../store/runs/runs.js';
import { noteRun, viewer, type Caller } from '../caller.js';
import { notFound, type Refusal } from '../refusal.js';

export type VisibleRun = { readonly kind: 'run'; readonly row: ListedRun };

/** The run, if the caller may see it. A refusal, too, is noted as being about the run. */
export async function visibleRun(caller: Caller, id: string): Promise<VisibleRun | Refusal> {
  const row = await getVisibleRun(caller.deps.pool, id, viewer(caller));
  if (row !== null) {
    noteRun(caller, row, true);
    return { kind: 'run', row };
  }
  const hidden = await getListedRun(caller.deps.pool, id);
  if (hidden !== null) noteRun(caller, hidden, false);
  return notFound('run', id);
}
