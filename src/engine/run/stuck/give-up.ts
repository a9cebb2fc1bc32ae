import type { Fact } from '../../../model/records.js';
import { noteDoubt } from '../../effects/doubts.js';
import { makeNotes } from '../draft.js';
import { unknownOf } from '../../effects/outcome.js';
import {
  closedStatuses,
  type Answer,
  type EventResult,
  type Problem,
  type RunState,
  type StuckOn,
} from '../../state.js';

export interface GivingUp {
  readonly code: 'STEP_FAILED' | 'HISTORY_FORKED';
  /** Unique for the event within the run. */
  readonly key: string;
  /** ISO 8601. */
  readonly time: string;
  /** Well-formed text. */
  readonly why: string;
  /** The start that the run's first step was to take; null: the run has begun. */
  readonly start: Extract<StuckOn, { kind: 'start' }> | null;
  /** Ids of the messages that are refused with the step. */
  readonly messages: readonly string[];
}

/**
 * Makes the run stuck, whatever it was about to do. This is for when the engine itself has failed, so that it uses nothing
 * of the engine but notes. What became of an effect that was under way is for a person to say, and open approvals of the same
 * effect are revoked.
 */
export function giveUp(run: RunState, { code, key, time, why, start, messages }: GivingUp): EventResult {
  const message =
    code === 'STEP_FAILED' ? `a step of this run failed three times in our own code: ${why}` : why;
  const answer: Answer = { status: 'refused', code: 'RUN_STUCK', message };
  const effects = messages.map((messageId) => ({ kind: 'answer', messageId, answer }) as const);
  const { executing } = run;
  if (closedStatuses.includes(run.status)) return { state: run, effects, trace: [], actions: [] };
  const problem: Problem = { code, message };
  const stuck: Fact = {
    key,
    type: 'run.stuck',
    time,
    actor: { kind: 'runtime', id: 'countersign' },
    data: { code, message, state: run.state },
  };
  const unknown: Problem = {
    code: 'EXECUTOR_UNKNOWN',
    errorClass: 'unknown_outcome',
    message: `what became of its effect is unknown: ${message}`,
  };
  const noted = makeNotes(run, time, key);
  if (executing !== null) noteDoubt(noted, executing.action);
  return {
    state: {
      ...noted.run,
      status: 'stuck',
      problem,
      stuckAt: key,
      executing: null,
      waitingAnswer: null,
      // What the run was stuck on before, such as an unknown outcome, it is stuck on still.
      stuckOn: executing === null ? (run.stuckOn ?? start ?? { kind: 'chain' }) : unknownOf(executing),
    },
    effects: [
      ...effects,
      ...(run.waitingAnswer === null
        ? []
        : [{ kind: 'answer', messageId: run.waitingAnswer.messageId, answer } as const]),
    ],
    trace: [...noted.facts, stuck],
    actions: [
      ...noted.actions,
      ...(executing === null
        ? []
        : [{ action: executing.action, status: 'unknown', error: unknown, outputRef: null } as const]),
    ],
  };
}
