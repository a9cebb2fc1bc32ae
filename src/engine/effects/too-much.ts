import type { JsonObject } from '../../model/values/json.js';
import type { Applying } from '../gates/gates.js';
import type { Transition } from '../plan.js';
import type { Draft } from '../run/draft.js';
import type { Until } from '../run/stuck/way-on.js';
import type { Kit, Refusal, RunState } from '../state.js';

/** What a run cannot carry, or a step of which each call is larger than what may be sent. */
export interface TooMuch {
  readonly code: Extract<Refusal['code'], 'RUN_FULL' | 'TOO_LARGE'>;
  /** The transition whose call it is; null: it is no call. */
  readonly transition: string | null;
  /** Where the run comes to it. */
  readonly where: string;
  readonly message: string;
}

/** Whether a run has come to more than it can carry, or is about to make a call that can never be sent; null: neither. */
export function tooMuchOf(run: RunState, kit: Pick<Kit, 'whyTooLarge'>): TooMuch | null {
  const { status, problem, state, executing } = run;
  if (status === 'stuck' && (problem?.code === 'RUN_FULL' || problem?.code === 'TOO_LARGE'))
    return { code: problem.code, transition: null, where: `state \`${state}\``, message: problem.message };
  const message = oversizedCall(run, kit);
  if (executing === null || message === null) return null;
  const { transition } = executing.action;
  return { code: 'TOO_LARGE', transition, where: `\`${transition}\` in state \`${state}\``, message };
}

/** Where a person has been asked, the calls were found to fit before. */
function oversizedCall(
  { executing, context, input }: RunState,
  { whyTooLarge }: Pick<Kit, 'whyTooLarge'>,
): string | null {
  if (executing === null || executing.action.approval !== null) return null;
  return whyTooLarge(executing, { arguments: executing.action.arguments, context, input });
}

/**
 * What has to change before a step goes on whose calls are too large to ask somebody about. They are shown together, and one of them is
 * sent: where nobody but the environment has it asked, and one of them can be made, it is made once the environment does so no more.
 */
export function untilAskable(
  { run, kit }: Pick<Draft, 'run' | 'kit'>,
  { executor, reliability, tier }: Transition,
  args: JsonObject,
  applying: Pick<Applying, 'asked'> | null,
): Until {
  const isOfEnvironment = applying?.asked.every(({ source }) => source === 'environment') === true;
  if (executor === null || !isOfEnvironment) return 'smaller';
  const step = { executor, reliability, at: 'transition', action: { tier } } as const;
  const { context, input } = run;
  return kit.canBeMade(step, { arguments: args, context, input }) ? 'policies' : 'smaller';
}
