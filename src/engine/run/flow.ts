import { isOpen } from '../../model/approval-status.js';
import type { JsonObject } from '../../model/values/json.js';
import { mostChainBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import type { PayloadRef } from '../../model/records.js';
import { asksPeople, type Transition } from '../plan.js';
import type { Action, Executing, RunState } from '../state.js';
import { actingPrincipal, actionFact, actorOf, project, record, type Draft } from './draft.js';
import { evaluateGuard, possibleVerdicts } from '../guards.js';
import { blockedBy, blockText, findState, guardContext } from '../links.js';
import { boundRules, gatesFor } from '../gates/gates.js';
import {
  bind,
  doneKey,
  effectKey,
  makeAction,
  nothingBound,
  timesDone,
  type Again,
  whyUnconnected,
} from '../effects/action.js';
import { consumeApproval, revokeOpen } from '../gates/changes.js';
import { unreadableEnd } from '../gates/deadlines.js';
import { deniedBefore } from '../gates/denials.js';
import { openApproval, refuseAsking, type Unaskable } from '../gates/opening.js';
import { settleDoubt } from '../effects/doubts.js';
import { untilAskable } from '../effects/too-much.js';
import { close, closeUnentered } from './ending/closing.js';
import { chainStep } from './chain.js';
import { isEnding } from './ending/ending.js';
import { whyNotEntered } from './entry.js';
import { entryLabel, keyLabel } from '../effects/key-label.js';
import { leaderOf, setLeader } from './leader.js';
import { settle } from './settle.js';
import { stick } from './stuck/stuck.js';
import { stepMeter, type Meter } from '../expression/meter.js';
import { branchTarget } from './branches.js';
import type { Until } from './stuck/way-on.js';
import { contextProblem, nothingCalled, writeResult } from './written.js';

// How a run moves: entering states, deterministic chains, executing, closing. How it comes to rest is settle.ts.

/** The run has entered its state: runs the onEnter, or goes on to what follows. A run that is to end does neither; in a terminal state it closes. */
export function enter(draft: Draft, again?: Again): void {
  const state = findState(draft.plan, draft.run.state);
  const onEnter = state?.onEnter ?? null;
  if (state === undefined || onEnter === null) return afterEnter(draft);
  const name = `onEnter:${state.name}`;
  if (isEnding(draft.run)) return state.terminal ? closeUnentered(draft, name) : undefined;
  const refused = whyNotEntered(draft, name, onEnter);
  if (refused !== null) return stick(draft, refused.problem, { kind: 'onEnter', until: refused.until });
  const action = makeAction(draft, {
    transition: name,
    label: entryLabel(draft, state.name),
    tool: null,
    tier: onEnter.tier ?? null,
    args: {},
    requester: leaderOf(draft.run),
    byRuntime: true,
    messageId: null,
    gate: null,
    bound: nothingBound,
    ...(again === undefined ? {} : { again }),
  });
  execute(draft, { action, executor: onEnter.executor, reliability: onEnter.reliability, at: 'onEnter' });
}

/** After the onEnter: closes in a terminal state, takes a deterministic step, or waits for a caller. */
export function afterEnter(draft: Draft): void {
  const { run } = draft;
  const state = findState(draft.plan, run.state);
  if (state === undefined)
    return stick(
      draft,
      { code: 'NO_ELIGIBLE_TRANSITION', message: `the plan has no state \`${run.state}\`` },
      { kind: 'chain' },
    );
  if (state.terminal) return close(draft, terminalStatus(run, state.outcome));
  if (isEnding(run)) return;
  if (!isOfRuntime(state.transitions)) return waitForSomebody(draft, state.transitions);
  const next = chainStep(draft, state.transitions);
  if (next !== null) take(draft, next, {}, null, { messageId: null, refs: [] });
}

/** Does the runtime take one of these transitions by itself? */
function isOfRuntime(transitions: readonly Transition[]): boolean {
  return transitions.length > 0 && transitions.every((transition) => transition.actor === 'deterministic');
}

/** What was asked for is not done, and the run stays in its state: it waits for the next caller, or is stuck where there can be none. */
export function remain(draft: Draft): void {
  const { run, plan } = draft;
  if (run.executing !== null || run.status === 'stuck') return;
  waitForSomebody(draft, findState(plan, run.state)?.transitions ?? []);
}

/** The run waits for a caller or a decision; where nobody could come, it is stuck and waits for an operator. */
function waitForSomebody(draft: Draft, transitions: readonly Transition[]): void {
  const decided = draft.run.approvals.every((approval) => !isOpen(approval.status) && !approval.queued);
  if (!decided || isForSomebody(draft, transitions)) return settle(draft);
  stick(
    draft,
    { code: 'NO_ELIGIBLE_TRANSITION', message: whyNobodyAtAll(draft, transitions) },
    { kind: 'chain', until: untilSomebody(draft, transitions) },
  );
}

/** What has to change before a retry comes to anything else. */
function untilSomebody({ plan, kit }: Draft, transitions: readonly Transition[]): Until {
  if (isOfRuntime(transitions)) return 'asks';
  const isOfPolicies = transitions.some(
    (transition) =>
      transition.actor !== 'deterministic' && blockedBy(plan, transition, kit) === 'environment',
  );
  return isOfPolicies ? 'policies' : 'never';
}

function terminalStatus(
  run: RunState,
  outcome: 'success' | 'failure' | null,
): 'completed' | 'failed' | 'timed_out' {
  if (run.viaTimeout) return 'timed_out';
  return outcome === 'failure' ? 'failed' : 'completed';
}

/** Could somebody take one of the transitions? Yes, too, where finding out takes more work than a step may: then the submit is refused. */
function isForSomebody(draft: Draft, transitions: readonly Transition[]): boolean {
  const meter = stepMeter(draft.work);
  return transitions.some((transition) => whyNobody(draft, transition, meter) === null || !meter.isLeft());
}

/** Why no principal could take the transition, whatever the arguments; null: somebody could. */
function whyNobody(draft: Draft, transition: Transition, meter: Meter): string | null {
  if (transition.actor === 'deterministic') return 'only the runtime takes it';
  const rule = blockedBy(draft.plan, transition, draft.kit);
  if (rule !== null) return blockText(rule);
  const at = { ...guardContext(draft.run, null, {}), meter };
  const refusing = transition.guards.find((guard) => !possibleVerdicts(guard, at).pass);
  return refusing === undefined ? null : evaluateGuard(refusing, at).reason;
}

function whyNobodyAtAll(draft: Draft, transitions: readonly Transition[]): string {
  const meter = stepMeter(draft.work);
  const reasons = transitions.map(
    (transition) => `\`${transition.name}\`: ${whyNobody(draft, transition, meter)}`,
  );
  const why = reasons.length === 0 ? 'it has no transition' : reasons.join('; ');
  return `no principal can take any transition of state \`${draft.run.state}\`: ${why}`;
}

/** Who or what a step comes from. */
export interface From {
  /** The message that is answered with the step's outcome; null: nobody waits. */
  readonly messageId: string | null;
  readonly refs: Action['refs'];
  /** Who has an effect repeated whose outcome is unknown. */
  readonly repeatedBy?: string;
  /** Key and count with which that effect was sent. */
  readonly again?: Again;
}

/** Takes a transition that has passed every check before its gates: parks it, executes it, or just moves the run. */
export function take(
  draft: Draft,
  transition: Transition,
  args: JsonObject,
  requester: Principal | null,
  from: From,
): void {
  const { run, kit } = draft;
  const stop = (why: Unaskable, until?: Until): void =>
    refuseAsking(draft, transition, requester, from.messageId, why, until);
  const full = contextProblem(draft, transition, args);
  if (full !== null) return stop({ code: 'RUN_FULL', message: full });
  const at = {
    ...guardContext(run, requester, args),
    meter: stepMeter(draft.work, requester === null),
  };
  const applying = gatesFor(transition, at, kit);
  const endless = unreadableEnd(applying?.gates ?? [], at);
  if (endless !== null) return stop({ code: 'INPUT_INVALID', message: endless });
  const asking = requester ?? leaderOf(run);
  const fields = {
    transition: transition.name,
    tool: transition.tool,
    tier: transition.tier,
    args,
    requester: asking,
    byRuntime: requester === null,
    messageId: from.messageId,
    refs: from.refs,
    ...(from.again === undefined ? {} : { again: from.again }),
  };
  if (applying === null)
    return perform(
      draft,
      transition,
      makeAction(draft, { ...fields, gate: boundRules([]), bound: nothingBound }),
    );
  const missing = whyUnconnected(kit, transition, run.environment);
  if (missing !== null) return stop({ code: 'BLOCKED', rule: 'environment', message: missing }, 'policies');
  const { context, input } = run;
  const denied = deniedBefore(draft, transition.name, args);
  const repeatedBy = from.repeatedBy ?? null;
  const what = doneKey(draft, { transition: transition.name, arguments: args });
  const done = timesDone(run, what);
  const key = from.again?.idempotencyKey ?? `${run.run}:${what}:${done}`;
  const shown = kit.show(transition, {
    ...{ arguments: args, context, input, requester: asking, denied, repeatedBy, done },
    inDoubt: run.doubts?.includes(key) === true,
  });
  if (shown.refused !== undefined)
    return stop(
      shown.refused,
      shown.refused.code === 'TOO_LARGE' ? untilAskable(draft, transition, args, applying) : 'never',
    );
  const bound = bind(kit, transition, run, shown);
  const action = makeAction(draft, { ...fields, gate: boundRules(applying.gates), bound });
  openApproval(draft, transition, action, { ...applying, ...from, shown });
}

/** Runs the action's executor, or moves at once where there is none. */
export function perform(draft: Draft, transition: Transition, action: Action): void {
  if (action.messageId !== null && action.approval === null) {
    draft.run.waitingAnswer = { messageId: action.messageId, transition: transition.name, action: action.id };
  }
  if (transition.executor === null || asksPeople(transition.executor)) {
    if (transition.executor === null && action.approval !== null) consumeApproval(draft, action.approval);
    succeed(draft, action, keyLabel(draft, transition.name), null);
    const problem = writeResult(draft, transition, action, nothingCalled);
    if (problem !== null) return stick(draft, problem, { kind: 'done', transition: transition.name });
    return complete(draft, transition, action);
  }
  execute(draft, {
    action,
    executor: transition.executor,
    reliability: transition.reliability,
    at: 'transition',
  });
}

function execute(draft: Draft, executing: Executing): void {
  draft.run.executing = executing;
  draft.run.status = 'running';
  project(draft, executing.action, 'executing');
  draft.effects.push({ kind: 'execute', executing });
}

/** Counts the success, so that the next identical action gets a new idempotency key; open approvals of the same action are superseded. */
export function succeed(draft: Draft, action: Action, label: string, outputRef: PayloadRef | null): void {
  const done = doneKey(draft, action, label);
  const others = draft.run.successes.filter(([key]) => key !== done);
  // The count of a repeat may be another one than that of now: no count that has been used comes again.
  const times = Math.max(timesDone(draft.run, done), action.n) + 1;
  draft.run.successes = [...others, [done, times]];
  settleDoubt(draft, action);
  project(draft, action, 'executed', { outputRef });
  const by = action.requester?.id ?? 'the runtime';
  const why = `superseded: \`${action.transition}\` with these arguments was done as \`${by}\` asked`;
  const isSame = (other: Action): boolean =>
    other.transition === action.transition && effectKey(draft.kit, other) === effectKey(draft.kit, action);
  revokeOpen(draft, why, (other) => other.status !== 'denied' && isSame(other.action));
}

/** The transition has happened and its context is written: branches, and moves the run. */
export function complete(draft: Draft, transition: Transition, action: Action): void {
  const target = branchTarget(draft, transition, action);
  if (target === null) {
    const message = `the branches of \`${transition.name}\` compare more than the ${mostChainBytes} bytes that they may in one step, so nobody knows where it leads`;
    return stick(draft, { code: 'CHAIN_TOO_LONG', message }, { kind: 'done', transition: transition.name });
  }
  moveTo(draft, target, transition.name, action);
}

/** Raises the version and enters the target. Where it is another state, or terminal, a new stay begins, and open approvals are revoked. */
export function moveTo(
  draft: Draft,
  target: string,
  transition: string,
  action: Action | null,
  deniers: readonly string[] = [],
): void {
  const { run } = draft;
  const from = run.state;
  run.version += 1;
  run.problem = null;
  run.stuckOn = null;
  run.state = target;
  // Only the run's time-out moves it without an action.
  run.viaTimeout = action === null;
  setLeader(run, action, deniers);
  record(draft, 'run.transitioned', {
    actor: actorOf(action === null ? null : actingPrincipal(action)),
    ...(action === null ? {} : { action: actionFact(action) }),
    data: { from, to: target, transition, version: run.version },
  });
  if (run.chainDepth > 0) run.chain = [...run.chain, { transition, from, to: target }];
  // Entering the same state again runs its onEnter once more, and the stay goes on.
  if (from === target && findState(draft.plan, target)?.terminal !== true) return enter(draft);
  run.stay += 1;
  revokeOpen(draft, `the run left state \`${from}\``);
  enter(draft);
}
