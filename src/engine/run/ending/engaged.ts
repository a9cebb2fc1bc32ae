import type { Principal } from '../../../model/principal.js';
import type { Action, RunState } from '../../state.js';

// What callers are told of a run while an effect of it is under way.

type Engaged = Pick<RunState, 'cancelRequested' | 'timeoutDue'> & {
  readonly executing: { readonly action: Pick<Action, 'transition'> } | null;
};

/** The cancel or time-out that waits for the outcome of the effect under way; null: there is none, or no effect is under way. */
export function endingOf({ executing, cancelRequested, timeoutDue }: Engaged): Ending | null {
  if (executing === null || (cancelRequested === null && !timeoutDue)) return null;
  const waitsFor = executing.action.transition;
  if (cancelRequested === null) return { why: 'timeout', by: null, waitsFor };
  return { why: 'cancel', by: cancelRequested.by, waitsFor };
}

export interface Ending {
  readonly why: 'cancel' | 'timeout';
  /** Who cancelled the run; null: its time is up. */
  readonly by: Principal | null;
  /** The transition whose effect is under way. */
  readonly waitsFor: string;
}

export function endingText({ by, waitsFor }: Omit<Ending, 'why'>): string {
  const until = `once the outcome of \`${waitsFor}\` is known`;
  return by === null
    ? `the run's time is up, which counts ${until}: it takes no submit before`
    : `\`${by.id}\` has cancelled the run, which ends ${until}: it takes nothing more`;
}

/** The refusal of a submit while an effect is under way. */
export function busyText(run: Engaged & { readonly executing: NonNullable<Engaged['executing']> }): string {
  const ending = endingOf(run);
  return ending === null
    ? `\`${run.executing.action.transition}\` is executing; try again when it has settled`
    : endingText(ending);
}
