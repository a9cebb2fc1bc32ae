import type { Json } from '../../model/json.js';
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
import { concerning } from './concerning.js';
import { jsonBeginning, grouped } from './shown.js';
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

/** Every gate that stands before a step by its own flow: each is asked on its own. */
export function gatesBefore(gates: readonly (Gate | null)[], tier: Tier | null): readonly Gate[] {
  const own = gates.filter((gate) => gate !== null);
  return tier === 'irreversible' ? [...own, irreversibleGate] : own;
}

/** What a charter's gates are for: the tools under `execute`, and what runs in place and is no read. */
export function isGated(charter: Charter | null, step: Calling & Pick<Transition, 'tool' | 'tier'>): boolean {
  if (charter === null) return false;
  if (step.tool !== null) return charter.execute.includes(step.tool);
  return callsOf(step).length > 0 && step.tier !== 'read_only';
}

/** An action as its gates are asked for, whoever starts it. */
export type Step = Calling & Pick<Transition, 'gates' | 'tier'>;

/**
 * An onEnter, to be asked what a transition is asked. A plan that was compiled before its gates were written down has
 * those of its charter at its transitions.
 */
export function entryStep(plan: Pick<Plan, 'charter' | 'states'>, onEnter: OnEnter): Step {
  const { executor, reliability, tier = null, gates } = onEnter;
  const isChartered = isGated(plan.charter, { tool: null, executor, reliability, tier });
  return {
    executor,
    reliability,
    tier,
    gates: gates ?? gatesBefore(isChartered ? charterGatesIn(plan) : [], tier),
  };
}

/** Entering a state has no arguments. */
function charterGatesIn({ states }: Pick<Plan, 'states'>): Gate[] {
  const gates = states.flatMap(({ transitions }) => transitions.flatMap((transition) => transition.gates));
  return gates.flatMap((gate) => {
    if (gate.origin?.source !== 'charter') return [];
    if (gate.on === null) return [gate];
    const on = concerning(gate.on, () => 'never');
    return on === null ? [] : [{ ...gate, on }];
  });
}

/** A gate that applies, with what asked for it. */
export interface AskingGate {
  readonly rule: Gate;
  readonly asked: Asked;
}

export interface Applying {
  /** All of them must be approved. */
  readonly gates: readonly AskingGate[];
  /** Every rule that asks, also one that another gate answers for. */
  readonly asked: readonly Asked[];
}

/** Every gate that may stand before it: its author's, its executor's, its environment's. */
export function gatesOf(step: Step, kit: Pick<Kit, 'floors'>): Gate[] {
  const { executor } = step;
  const human = asksPeople(executor) ? [humanGate(executor.roles, executor.queue)] : [];
  return [...step.gates, ...human, ...floorsFor(step, kit)];
}

/** The gates that apply to this action; null: none. An error in `on` means that it applies. */
export function gatesFor(step: Step, at: GuardContext, kit: Pick<Kit, 'floors'>): Applying | null {
  return applyingGates(gatesOf(step, kit), at);
}

/** Of these gates, those that ask; without the ones that nobody wrote and that another one answers for. */
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
 * The default gate of what is irreversible (one approval by somebody else) is kept by every gate that keeps the
 * requester out. The gate of a `human` executor is kept by one that its author wrote for the same people, and that
 * time neither approves nor opens to others.
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

/** Time ends it and does nothing else, in any of its stages. */
function onlyDenies(stage: GateTimeout | null | undefined): boolean {
  return stage === null || stage === undefined || (stage.action === 'deny' && onlyDenies(stage.then));
}

/** The gate policy that a digest names: the rules of every gate that applies. Null: there is none. */
export function boundRules(gates: readonly { readonly rule: Gate }[]): Json {
  return gates.length === 0 ? null : (gates.map(({ rule }) => rule) as unknown as Json);
}

/** When gates ask, as their conditions are written; null: always. */
export function whenAsked(gates: readonly Gate[]): string | null {
  const texts = gates.map(({ on }) =>
    on === null ? null : on.kind === 'expr' ? on.expr.text : JSON.stringify(on),
  );
  return texts.length === 0 || texts.includes(null) ? null : [...new Set(texts)].join(' or ');
}

/** What the digest binds: the rules, and not where they are written. */
export function ruleOf({ origin: _origin, ...rules }: Gate): Gate {
  return rules;
}

/** The environment's floor under an effect; a step without one, and a person's own, have none. */
export function floorsFor(step: Calling & Pick<Transition, 'tier'>, { floors }: Pick<Kit, 'floors'>): Gate[] {
  if (callsOf(step).length === 0) return [];
  return (floors ?? []).flatMap((floor) => (floor.tiers.includes(step.tier ?? 'none') ? [floor.gate] : []));
}

/** Why nothing may be called there: nobody knows what the environment asks for. Null: it is known, or nothing is called. */
export function unknownFloors(step: Calling, { floors }: Pick<Kit, 'floors'>): string | null {
  return floors === null && callsOf(step).length > 0 ? environmentUnknown : null;
}

export const environmentUnknown =
  'the policies declare its environment no more, and what that asks for is not known: declare it again in environments.yaml';

function askedBy(gate: Gate, at: GuardContext): Asked | null {
  // Once: what is compared is charged.
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

/** `amount 60,000 > 50,000`: the comparison with what it read; of other conditions, and of errors, the guard's reason. */
function becauseOf(on: Guard, { verdict, reason }: Evaluation, at: GuardContext): string {
  if (on.kind !== 'expr' || verdict !== 'pass') return reason;
  const { left, operator, right } = on.expr;
  return `${sideText(left, at)} ${operator} ${sideText(right, at)}`;
}

const longestValue = 120;

function sideText(operand: Operand, at: GuardContext): string {
  const value = operand.kind === 'literal' ? operand.value : (valueAt(at, operand) ?? null);
  const cut = typeof value === 'number' ? grouped(value) : jsonBeginning(value, longestValue);
  return operand.kind === 'literal' ? cut : `${operand.text} ${cut}`;
}
