import type { Tx } from '../../db/index.js';
import { getStep, type RunRow } from '../../store/runs/runs.js';
import { fingerprintOf } from '../../auth/index.js';
import type { StoredStep } from './persist.js';
import type { StepInput, StepResult, Stepped } from '../types.js';

// Repeats the result of a step that is asked for again.

/** The stored result of a step that has run, with the arrivals that it had not taken. The step of an execution takes no arrivals. */
export function repeatStoredStep(eventKey: string, text: string, { arrivals }: StepInput): StepResult {
  const { fingerprints, result } = JSON.parse(text) as StoredStep;
  const taken = eventKey === 'step' ? [...fingerprints] : [];
  const left = arrivals.flatMap((arrival, index) => {
    const at = taken.indexOf(fingerprintOf(arrival));
    if (at === -1) return [index];
    taken.splice(at, 1);
    return [];
  });
  return { ...result, left };
}

/** The stored result of the run's last step, as the result of a step that changed nothing. */
export async function repeatLastStep(tx: Tx, row: RunRow): Promise<Stepped> {
  const last = await getStep(tx, row.id, row.rev);
  if (last === null) throw new Error(`step ${row.rev} of run ${row.id} is not in the store`);
  const { result } = JSON.parse(last.result) as StoredStep;
  return { ...result, given: 0, left: [], isForked: false };
}
