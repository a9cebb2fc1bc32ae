import { answerTrouble, type JsonObject } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import type { Executing, Outcome, Problem, StuckOn } from '../state.js';
import { project, record, refuse, type Draft } from '../run/draft.js';
import { noteDoubt } from './doubts.js';
import { hasEffect, isRepeatable } from './effects.js';
import { moveDenied } from '../gates/approvals.js';
import { startApproved } from '../gates/approved.js';
import { consumeApproval, revokeOpen } from '../gates/changes.js';
import { whyInDoubt, waitForPerson } from './doubt.js';
import { findState, isAtItsEnd } from '../links.js';
import { close } from '../run/ending/closing.js';
import { isEnding } from '../run/ending/ending.js';
import { entryLabel, keyLabel } from './key-label.js';
import { afterEnter, complete, moveTo, remain, succeed } from '../run/flow.js';
import { stick } from '../run/stuck/stuck.js';
import type { Until } from '../run/stuck/way-on.js';
import { writeResult } from '../run/written.js';

type Succeeded = Extract<Outcome, { status: 'succeeded' }>;

/** The outcome of the effect under way: writes context and evidence and moves the run, or says why not. */
export function onOutcome(draft: Draft, actionId: string, result: Outcome): void {
  const executing = draft.run.executing;
  if (executing === null || executing.action.id !== actionId) return;
  draft.run.executing = null;
  // The run's time was up, and a person had this effect repeated: nothing else is done before the run ends or moves.
  if (draft.run.overdue === true) draft.run.timeoutDue = true;
  if (executing.action.approval !== null && wasCalled(result))
    consumeApproval(draft, executing.action.approval);
  if (result.status === 'succeeded') onSuccess(draft, executing, result);
  else onFailure(draft, executing, result);
  resumeDeferred(draft);
}

/** An action that was stopped before its first attempt has not used up its approval. */
function wasCalled(result: Outcome): boolean {
  if (result.status !== 'failed' || result.code === undefined) return true;
  return result.attempt > 1 || result.effectPossible === true;
}

function onSuccess(draft: Draft, executing: Executing, result: Succeeded): void {
  const { action } = executing;
  const state = findState(draft.plan, draft.run.state);
  const transition =
    executing.at === 'transition'
      ? state?.transitions.find((candidate) => candidate.name === action.transition)
      : undefined;
  const step = transition ?? (executing.at === 'onEnter' ? state?.onEnter : null) ?? null;
  // A plan is bound by its hash, so the store was changed. The effect has happened: a person decides what follows.
  if (step === null)
    return onFailure(draft, executing, {
      status: 'unknown',
      message: `the plan has no step \`${action.transition}\` in state \`${draft.run.state}\``,
      attempt: result.attempt,
    });
  const malformed = outputProblem(draft, transition?.outputSchema ?? null, result);
  if (malformed !== null)
    return onFailure(draft, executing, outcomeOfUnfitOutput(draft, executing, malformed, result.attempt));
  const label =
    transition === undefined ? entryLabel(draft, draft.run.state) : keyLabel(draft, transition.name);
  succeed(draft, action, label, result.outputRef);
  const problem = writeResult(draft, step, action, result);
  if (problem !== null) return stick(draft, problem, { kind: 'done', transition: action.transition });
  if (transition !== undefined) return complete(draft, transition, action);
  draft.run.version += 1;
  afterEnter(draft);
}

/**
 * The outcome where the effect has happened, and what it answered does not fit. `failed`, where it may be asked for again
 * without harm. Else `unknown`: without an idempotency key it would happen twice, so a person looks first; and a run that is
 * to end says so at its end.
 */
function outcomeOfUnfitOutput(
  { run, kit }: Draft,
  executing: Executing,
  message: string,
  attempt: number,
): Exclude<Outcome, Succeeded> {
  const executors = [executing.executor, ...executing.reliability.fallback];
  const failed = { status: 'failed', errorClass: 'permanent', message, attempt } as const;
  if (run.mode === 'shadow' || executors.every((executor) => !hasEffect(kit, executing, executor)))
    return failed;
  // A run that is to end asks for it no more.
  const isAskedAgain = !isEnding(run);
  if (isAskedAgain && executors.every((executor) => isRepeatable(kit, executing, executor)))
    return { ...failed, effectPossible: true };
  const check = isAskedAgain
    ? 'its effect has happened, and a retry would do it again'
    : 'its effect has happened, and the run is to end';
  return { status: 'unknown', message: `${message}; ${check}`, attempt };
}

function outputProblem(draft: Draft, schema: JsonObject | null, result: Succeeded): string | null {
  const trouble = answerTrouble(result.output, result.response);
  if (trouble !== null) return `the output cannot be kept: ${trouble}`;
  if (schema === null) return null;
  const output = result.output;
  if (typeof output !== 'object' || output === null || Array.isArray(output))
    return 'the output is no object, so it does not fit the output schema';
  const checked = draft.kit.validate(schema, output as JsonObject, undefined, false);
  if (checked.status === 'valid') return null;
  return `the output does not fit the output schema: ${checked.errors.map((error) => `${error.pointer} ${error.message}`).join('; ')}`;
}

function onFailure(draft: Draft, executing: Executing, result: Exclude<Outcome, Succeeded>): void {
  const { action } = executing;
  // Whatever says neither `succeeded` nor `failed` leaves the effect's outcome unknown.
  const errorClass = result.status === 'failed' ? result.errorClass : 'unknown_outcome';
  const unknown = errorClass === 'unknown_outcome';
  const uncalled = result.status === 'failed' ? result.code : undefined;
  const error: Problem = {
    code: unknown ? 'EXECUTOR_UNKNOWN' : (uncalled ?? 'EXECUTOR_FAILED'),
    message: result.message,
    errorClass,
  };
  project(draft, action, unknown ? 'unknown' : 'failed', { error });
  const isPossible = result.status === 'failed' && result.effectPossible === true;
  if (unknown || isPossible) noteDoubt(draft, action);
  const waiting = draft.run.waitingAnswer;
  if (waiting?.action === action.id) {
    draft.run.waitingAnswer = null;
    refuse(draft, waiting.messageId, {
      code: 'EXECUTOR_FAILED',
      message: unknown
        ? `whether \`${action.transition}\` was done is not known: ${result.message}`
        : `\`${action.transition}\` failed: ${result.message}`,
      errorClass,
      action: action.id,
    });
  }
  if (unknown) return stick(draft, error, unknownOf(executing));
  if (executing.at === 'transition' && action.byRuntime !== true) return remain(draft);
  const failure = executing.at === 'transition' ? error : entryProblem(draft, error);
  if (!isPossible)
    return stick(draft, failure, {
      kind: executing.at === 'onEnter' ? 'onEnter' : 'chain',
      ...untilMade(draft, executing),
    });
  // Only the runtime would ask for it again, so that a person has to say whether it is repeated.
  const message = `${failure.message}; it may have happened all the same, look before a retry`;
  stick(draft, { ...failure, message }, unknownOf(executing));
}

/** Where none of its calls can be made of the values that the run has, a retry makes none either. */
function untilMade({ run, kit }: Draft, executing: Executing): { readonly until?: Until } {
  const { context, input } = run;
  const scopes = { arguments: executing.action.arguments, context, input };
  if (kit.canBeMade(executing, scopes)) return {};
  return { until: kit.whyTooLarge(executing, scopes) === null ? 'never' : 'smaller' };
}

function entryProblem({ run }: Draft, error: Problem): Problem {
  const message = `onEnter of state \`${run.state}\` failed: ${error.message}`;
  return { ...error, code: 'ON_ENTER_FAILED', message };
}

/** `stuckOn` of a run of which nobody knows whether this effect has happened. */
export function unknownOf({ at, action }: Executing): StuckOn {
  if (at === 'transition') return { kind: 'action', action };
  const { idempotencyKey, n } = action;
  return { kind: 'onEnter', unknown: true, again: { idempotencyKey, n } };
}

/** Does what had to wait while an effect was under way: a cancel, the run's time-out, moves after denials, approved actions. */
export function resumeDeferred(draft: Draft): void {
  const { run } = draft;
  if (run.executing !== null || hasClosed(draft)) return;
  if (run.cancelRequested !== null) return close(draft, 'cancelled', run.cancelRequested.by);
  if (run.timeoutDue || (run.overdue === true && whyInDoubt(run) === null)) return onRunTimeout(draft);
  moveDenied(draft);
  startApproved(draft);
}

function hasClosed(draft: Draft): boolean {
  return draft.effects.some((effect) => effect.kind === 'close');
}

/**
 * The run's own time is up: the run moves to its `onTimeout` target, or ends. It waits first for the effect under way, and for
 * a person where something is in doubt; from a terminal state it moves nowhere.
 */
export function onRunTimeout(draft: Draft): void {
  const { run } = draft;
  if (run.executing !== null) {
    run.timeoutDue = true;
    return revokeOpen(draft, "the run's time is up");
  }
  run.timeoutDue = false;
  run.deadline = null;
  const target = draft.plan.onTimeout?.target ?? null;
  if (target !== null && isAtItsEnd(draft.plan, run)) return stayAtEnd(draft);
  const doubt = whyInDoubt(run);
  if (target !== null && doubt !== null) return waitForPerson(draft, doubt, target);
  if (run.overdue !== true) record(draft, 'timeout.fired', { data: { state: run.state } });
  delete run.overdue;
  if (target === null) {
    run.version += 1;
    return close(draft, 'timed_out');
  }
  run.chainDepth = 0;
  moveTo(draft, target, 'timeout', null);
  // The target may be the state that the run was in: what was approved there has still to begin.
  resumeDeferred(draft);
}

/** The run is in a terminal state whose onEnter has not succeeded: a person has it tried again, or cancels the run. */
function stayAtEnd(draft: Draft): void {
  const { run } = draft;
  const isDone = run.stuckOn?.kind === 'done';
  const waits = `nothing leaves a terminal state: ${isDone ? '' : `a retry of what \`${run.state}\` does on entry, or `}a cancel`;
  if (run.overdue !== true) record(draft, 'timeout.fired', { data: { state: run.state, waits } });
  delete run.overdue;
  // The onEnter has happened and could not be written, and a person has had the run go on: it ends in this state.
  if (run.stuckOn === null) afterEnter(draft);
}

export function cancel(draft: Draft, by: Principal, messageId: string): void {
  if (draft.run.executing !== null) {
    draft.run.cancelRequested = { by, messageId };
    return revokeOpen(draft, 'the run is being cancelled');
  }
  close(draft, 'cancelled', by);
}
