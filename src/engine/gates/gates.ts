import type { Json } from '../../model/values/json.js';
import {
  asksPeople,
  type Charter,
  type Gate,
  type GateTimeout,
  type Guard,
  type OnEnter,
  type Operand,
  type Plan,
  type Tier,
  type Transition,
} from '../plan.js';
import type { Asked, Kit } from '../state.js';
import { callsOf, type Calling } from '../effects/effects.js';
import { evaluateGuard, type Evaluation, type GuardContext } from '../guards.js';
import { narrowCondition } from './concerning.js';
import { jsonBeginning, groupDigits } from './shown.js';
import { valueAt } from '../expression/template.js';

// Which gates stand before a step, and which of them ask.

/** The gate of a `human` executor: its own roles, else its queue's. */
export function humanGate(roles: readonly string[], queue: string | null): Gate {
  return {
    on: null,
    roles,
    queue,
    quorum: { count: 1, perRole: [] },
    separation: { requester: true, author: false, promoter: false },
    reason: 'optional',
    timeout: null,
    because: ['the executor is a human'],
    origin: { source: 'executor', path: null },
  };
}

const irreversibleGate: Gate = {
  on: null,
  roles: [],
  queue: null,
  quorum: { count: 1, perRole: [] },
  separation: { requester: true, author: false, promoter: false },
  reason: 'optional',
  timeout: null,
  because: ['the tool is irreversible'],
  origin: { source: 'tier', path: null },
};

/** The gates that a step has by its own flow: each must be approved. */
export function gatesBefore(gates: readonly (Gate | null)[], tier: Tier | null): readonly Gate[] {
  const own = gates.filter((gate) => gate !== null);
  return tier === 'irreversible' ? [...own, irreversibleGate] : own;
}

/** Do the gates of its charter apply to a step? To tools under `execute`, and to calls without a tool that are no reads. */
export function isGated(charter: Charter | null, step: Calling & Pick<Transition, 'tool' | 'tier'>): boolean {
  if (charter === null) return false;
  if (step.tool !== null) return charter.execute.includes(step.tool);
  return callsOf(step).length > 0 && step.tier !== 'read_only';
}

/** What is known of an action, whoever starts it, to find its gates. */
export type GatedStep = Calling & Pick<Transition, 'gates' | 'tier'>;

/**
 * An onEnter in the form of a transition's step, to find its gates. A plan that was compiled before an onEnter had `gates`
 * names those of its charter at its transitions.
 */
export function entryStep(plan: Pick<Plan, 'charter' | 'states'>, onEnter: OnEnter): GatedStep {
  const { executor, reliability, tier = null, gates } = onEnter;
  const isChartered = isGated(plan.charter, { tool: null, executor, reliability, tier });
  return {
    executor,
    reliability,
    tier,
    gates: gates ?? gatesBefore(isChartered ? charterGatesIn(plan) : [], tier),
  };
}

/** The gates of a charter as an onEnter has them, which has no arguments. */
function charterGatesIn({ states }: Pick<Plan, 'states'>): Gate[] {
  const gates = states.flatMap(({ transitions }) => transitions.flatMap((transition) => transition.gates));
  return gates.flatMap((gate) => {
    if (gate.origin?.source !== 'charter') return [];
    if (gate.on === null) return [gate];
    const on = narrowCondition(gate.on, () => 'never');
    return on === null ? [] : [{ ...gate, on }];
  });
}

/** A gate that applies, with the rule that asked for it. */
export interface AskingGate {
  readonly rule: Gate;
  readonly asked: Asked;
}

export interface Applying {
  /** All of these must be approved. */
  readonly gates: readonly AskingGate[];
  /** Every rule that asks, also a rule that another gate answers for. */
  readonly asked: readonly Asked[];
}

/** All gates that may apply to a step: those of its author, of its executor and of its environment. */
export function gatesOf(step: GatedStep, kit: Pick<Kit, 'floors'>): Gate[] {
  const { executor } = step;
  const human = asksPeople(executor) ? [humanGate(executor.roles, executor.queue)] : [];
  return [...step.gates, ...human, ...floorsFor(step, kit)];
}

/** The gates that apply to a step; null: none. A gate also applies where its `on` is an error. */
export function gatesFor(step: GatedStep, at: GuardContext, kit: Pick<Kit, 'floors'>): Applying | null {
  return applyingGates(gatesOf(step, kit), at);
}

/** Those of the gates that apply, without implied gates, which nobody wrote, that another gate answers for; null: none. */
export function applyingGates(gates: readonly Gate[], at: GuardContext): Applying | null {
  const asking = gates.flatMap((gate) => {
    const asked = askedBy(gate, at);
    return asked === null ? [] : [{ rule: ruleOf(gate), asked }];
  });
  if (asking.length === 0) return null;
  return {
    gates: asking.filter((gate) => !asking.some((other) => other !== gate && answersFor(other, gate))),
    asked: asking.map(({ asked }) => asked),
  };
}

/**
 * The default gate of irreversible tools (one approval by somebody else) is answered for by every gate that keeps the
 * requester out. The gate of a `human` executor is answered for by a gate that its author wrote for the same people, and
 * that time neither approves nor opens to others.
 */
function answersFor({ rule, asked }: AskingGate, implied: AskingGate): boolean {
  if (asked.source === 'tier' || asked.source === 'executor' || rule.separation.requester === false)
    return asked.source === 'executor' && implied.asked.source === 'tier';
  if (implied.asked.source === 'tier') return true;
  return (
    implied.asked.source === 'executor' && asksSamePeople(rule, implied.rule) && onlyDenies(rule.timeout)
  );
}

function asksSamePeople(gate: Gate, other: Gate): boolean {
  const roles = new Set(other.roles);
  return (
    gate.queue === other.queue &&
    gate.roles.length === other.roles.length &&
    gate.roles.every((role) => roles.has(role))
  );
}

/** In all of its stages time denies, and does nothing else. */
function onlyDenies(stage: GateTimeout | null | undefined): boolean {
  return stage === null || stage === undefined || (stage.action === 'deny' && onlyDenies(stage.then));
}

/** What a digest binds of the gates: the rules of all that apply. Null: none applies. */
export function boundRules(gates: readonly { readonly rule: Gate }[]): Json {
  return gates.length === 0 ? null : (gates.map(({ rule }) => rule) as unknown as Json);
}

/** When these gates apply, in the words of their conditions; null: always, or there are none. */
export function whenAsked(gates: readonly Gate[]): string | null {
  const texts = gates.map(({ on }) =>
    on === null ? null : on.kind === 'expr' ? on.expr.text : JSON.stringify(on),
  );
  return texts.length === 0 || texts.includes(null) ? null : [...new Set(texts)].join(' or ');
}

/** What the digest binds of a gate: its rules, and not where they are written. */
export function ruleOf({ origin: _origin, ...rules }: Gate): Gate {
  return rules;
}

/** The floors of the environment for a step; none for a step that calls nothing, such as a person's. */
export function floorsFor(step: Calling & Pick<Transition, 'tier'>, { floors }: Pick<Kit, 'floors'>): Gate[] {
  if (callsOf(step).length === 0) return [];
  return (floors ?? []).flatMap((floor) => (floor.tiers.includes(step.tier ?? 'none') ? [floor.gate] : []));
}

/** Why a step may not call anything: it is not known what its environment asks for. Null: it is known, or nothing is called. */
export function unknownFloors(step: Calling, { floors }: Pick<Kit, 'floors'>): string | null {
  return floors === null && callsOf(step).length > 0 ? environmentUnknown : null;
}

export const environmentUnknown =
  'the policies declare its environment no more, and what that asks for is not known: declare it again in environments.yaml';

function askedBy(gate: Gate, at: GuardContext): Asked | null {
  // Evaluated once only, since the meter is charged for it.
  const judged = gate.on === null ? null : evaluateGuard(gate.on, at);
  if (judged?.verdict === 'fail') return null;
  return {
    source: gate.origin?.source ?? 'transition',
    path: gate.origin?.path ?? null,
    rule: ruleText(gate),
    reason: gate.on === null || judged === null ? null : becauseOf(gate.on, judged, at),
  };
}

/** A gate's rule as its author wrote it. */
export function ruleText({ because }: Pick<Gate, 'because'>): string {
  return because.join('; ');
}

/** `amount 60,000 > 50,000`: a comparison with the values that it read; for other conditions, and errors, the guard's reason. */
function becauseOf(on: Guard, { verdict, reason }: Evaluation, at: GuardContext): string {
  if (on.kind !== 'expr' || verdict !== 'pass') return reason;
  const { left, operator, right } = on.expr;
  return `${sideText(left, at)} ${operator} ${sideText(right, at)}`;
}

const longestValue = 120;

function sideText(operand: Operand, at: GuardContext): string {
  const value = operand.kind === 'literal' ? operand.value : (valueAt(at, operand) ?? null);
  const cut = typeof value === 'number' ? groupDigits(value) : jsonBeginning(value, longestValue);
  return operand.kind === 'literal' ? cut : `${operand.text} ${cut}`;
}
