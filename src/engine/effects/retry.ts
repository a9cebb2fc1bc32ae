import { isOpen } from '../../model/approval-status.js';
import type { Message } from '../../model/message.js';
import type { Principal } from '../../model/principal.js';
import type { Transition } from '../plan.js';
import type { Action, Problem, Refusal, RunState, StuckOn } from '../state.js';
import { actorOf, makeDraft, record, type Draft } from '../run/draft.js';
import { whyInDoubt } from './doubt.js';
import { afterEnter, enter, take } from '../run/flow.js';
import { startApproved } from '../gates/approved.js';
import { findState, guardContext } from '../links.js';
import { gatesFor } from '../gates/gates.js';
import { stepMeter } from '../expression/meter.js';
import { makeWork } from '../run/work.js';
import { untilAskable } from './too-much.js';
import { isOver } from '../run/ending/ending.js';
import { isHalted } from '../run/moments.js';
import { resumeDeferred, onRunTimeout } from './outcome.js';
import { actingNow } from '../rights.js';
import { beginRun } from '../run/start.js';
import { policyRefusal } from '../run/submit.js';
import { wayOfUntil, type Until } from '../run/stuck/way-on.js';

// An operator's retry of a stuck run.

/** Why a retry of a stuck run is refused; null: it is taken. Only a human may have an effect repeated that may have happened already. */
export function retryRefusal(draft: Draft, message: Message): Omit<Refusal, 'status'> | null {
  const { stuckOn, problem, overdue } = draft.run;
  const other = aboutAnother(draft, message);
  if (other !== null) return other;
  // A halted run has heard nothing of its own time, which now ends it: nothing is done again.
  const isEnded = isHalted(draft.run) && isOver(draft.run, draft.time) && !hasTimeoutTarget(draft.plan);
  // Earlier engines wrote `chain` for `done`, and the problem's code tells. Where the run's time is up the retry does nothing
  // again: it is the word of a person for which the run waits.
  if ((stuckOn?.kind === 'done' || problem?.code === 'STATE_TOO_LARGE') && overdue !== true && !isEnded)
    return {
      code: 'RUN_STUCK',
      message: `the step has happened, and a retry would do it a second time (${problem?.message ?? 'no problem is kept'}): cancel the run`,
    };
  if (whyInDoubt(draft.run) === null) return null;
  const { principal } = message;
  if (principal.kind !== 'human')
    return {
      code: 'HUMANS_ONLY',
      message: `${stuckOn?.kind === 'done' ? 'the effect has happened, and is not written' : 'the outcome of the effect is unknown'}, and \`${principal.id}\` (${principal.kind}) is no human: look whether it happened, and let a human retry or cancel`,
    };
  if (isEnded || stuckOn?.kind !== 'action') return null;
  const { action } = stuckOn;
  const transition = transitionOf(draft, action);
  if (transition === undefined) return null;
  const asker = { id: message.id, principal: actingNow(draft.kit, action) };
  const refused =
    policyRefusal(draft, asker, transition, action.arguments) ??
    askingRefusal(draft, message, transition, action);
  return refused === null
    ? null
    : { ...refused, message: forOperator(draft, message, transition, action, refused) };
}

function hasTimeoutTarget({ onTimeout }: Draft['plan']): boolean {
  return (onTimeout?.target ?? null) !== null;
}

/** The refusal's message: a repeat is judged for its first requester, whoever retries; whoever retries is told whether another retry can help. */
function forOperator(
  draft: Draft,
  { principal }: Message,
  transition: Transition,
  action: Action,
  refused: Omit<Refusal, 'status'>,
): string {
  const { code, message } = refused;
  const asked = action.requester?.id ?? 'the runtime';
  const whose =
    code === 'GUARD_REJECTED'
      ? `\`${transition.name}\` is done for \`${asked}\`, who asked for it and is the caller meant here, not for \`${principal.id}\`: `
      : '';
  const next =
    code === 'GUARD_REJECTED'
      ? `a retry helps once the guard passes for \`${asked}\`; a cancel ends the run`
      : wayOfUntil(untilOf(draft, transition, action, refused));
  return `${whose}${message}; ${next}`;
}

function untilOf(
  { run, kit }: Draft,
  transition: Transition,
  action: Action,
  { code, rule }: Omit<Refusal, 'status'>,
): Until {
  if (code === 'BLOCKED') return rule === 'environment' ? 'policies' : 'never';
  if (code === 'TOO_LARGE') {
    const at = guardContext(run, actingNow(kit, action), action.arguments);
    const applying = gatesFor(transition, { ...at, meter: stepMeter(makeWork()) }, kit);
    return untilAskable({ run, kit }, transition, action.arguments, applying);
  }
  return code === 'RUN_FULL' && run.approvals.some(({ status }) => isOpen(status)) ? 'decisions' : 'never';
}

/** Why approvers could not be asked for the repeat, though nothing forbids it. It is found by trying, on a draft that is thrown away. */
function askingRefusal(
  { plan, run, kit, time, key }: Draft,
  { id, principal }: Message,
  transition: Transition,
  action: Action,
): Omit<Refusal, 'status'> | null {
  const { idempotencyKey, n } = action;
  const trial = makeDraft(plan, run, kit, time, key);
  take(trial, transition, action.arguments, actingNow(kit, action), {
    messageId: id,
    refs: action.refs,
    repeatedBy: principal.id,
    again: { idempotencyKey, n },
  });
  for (const effect of trial.effects)
    if (effect.kind === 'answer' && effect.messageId === id && effect.answer.status === 'refused')
      return effect.answer;
  return null;
}

/** Refuses a retry whose caller looked at another problem than the run is stuck on now; null: it is the same, or none was named. */
function aboutAnother({ run }: Draft, { body }: Message): Omit<Refusal, 'status'> | null {
  const about = 'about' in body ? body.about : undefined;
  if (about === undefined || about === (run.stuckAt ?? '')) return null;
  if (about === null)
    return { code: 'NOT_STUCK', message: 'the run was not stuck when this retry was asked' };
  const now = run.problem?.message ?? 'unknown problem';
  return {
    code: 'STALE_VERSION',
    message: `this retry is about a problem that the run has left since, and it is stuck on another one: ${now}. Look at it, and ask again`,
  };
}

function transitionOf({ plan, run }: Draft, { transition }: Action): Transition | undefined {
  return findState(plan, run.state)?.transitions.find((candidate) => candidate.name === transition);
}

/** Does the step again that the run is stuck on: a start, an onEnter or a chain goes on; an effect keeps its idempotency key. */
export function retry(draft: Draft, by: Principal): void {
  const { run } = draft;
  const { stuckOn: on } = run;
  record(draft, 'run.retried', {
    actor: actorOf(by),
    permission: 'run.operate',
    data: { state: run.state, code: run.problem?.code ?? '' },
  });
  // While the run was halted, its deadline did nothing.
  if (isOver(run, draft.time)) onRunTimeout(draft);
  if (run.status !== 'stuck' || run.stuckOn !== on) return;
  run.chainDepth = 0;
  run.ledWith = [...new Set([...(run.ledWith ?? []), by.id])];
  const transition = on?.kind === 'action' ? transitionOf(draft, on.action) : undefined;
  if (on?.kind === 'action' && transition !== undefined && transition.executor !== null)
    return repeat(draft, transition, on, by);
  goOn(run);
  if (on?.kind === 'onEnter') {
    enter(draft, on.again);
    // The state may not be entered now: whether its onEnter has happened is still unknown.
    if (on.unknown === true && draft.run.status === 'stuck') run.stuckOn = on;
  } else if (on?.kind === 'start') beginRun(draft, on);
  else if (on?.kind !== 'done') afterEnter(draft);
  resumeDeferred(draft);
}

function goOn(run: Draft['run']): void {
  run.status = 'running';
  run.problem = null;
  run.stuckOn = null;
}

/** Repeats an effect whose outcome is unknown. Where that takes an approval the run stays stuck, and nothing else of it goes on, until somebody has decided. */
function repeat(
  draft: Draft,
  transition: Transition,
  on: Extract<StuckOn, { kind: 'action' }>,
  by: Principal,
): void {
  const { run } = draft;
  if (isHalted(run)) run.problem = unknownOutcomeProblem(run);
  // The repeat may have been approved while the run was halted: then nobody is asked again.
  startApproved(draft);
  if (run.executing !== null) return;
  const { problem } = run;
  goOn(run);
  const { arguments: args, refs, idempotencyKey, n } = on.action;
  const again = { idempotencyKey, n };
  const requester = actingNow(draft.kit, on.action);
  take(draft, transition, args, requester, { messageId: null, refs, repeatedBy: by.id, again });
  if (run.executing === null) Object.assign(run, { status: 'stuck', problem, stuckOn: on });
}

function unknownOutcomeProblem(run: Pick<RunState, 'stuckOn' | 'state' | 'problem'>): Problem {
  const message = `${whyInDoubt(run)}: ${run.problem?.message}`;
  return { code: 'EXECUTOR_UNKNOWN', message, errorClass: 'unknown_outcome' };
}
