import type { Principal } from '../model/principal.js';
import { truncate } from '../model/text.js';
import type { Executor, Gate, Guard, Operand, Tier, Transition } from './plan.js';
import type { ApprovalState, Asked, Excluded, Kit } from './state.js';
import { evaluateGuard, verdictOf, type GuardContext } from './guards.js';
import { strictest } from './merge.js';
import { grouped } from './shown.js';
import { valueAt } from './template.js';

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

/** A gate that applies, with what asked for it. */
export interface AskedGate {
  readonly gate: Gate;
  readonly asked: readonly Asked[];
}

/** Every gate that may stand before it: its author's, its executor's, its environment's. */
export function gatesOf(transition: Transition, kit: Pick<Kit, 'floors'>): Gate[] {
  const own = transition.gate === null ? [] : (transition.gate.parts ?? [transition.gate]);
  const human =
    transition.executor?.kind === 'human'
      ? [humanGate(transition.executor.roles, transition.executor.queue)]
      : [];
  return [...own, ...human, ...floorsFor(transition, kit)];
}

/**
 * The gate that applies to this submit, or null: every place that asks for one is asked on its own, and those that
 * do are merged to the strictest. An error in `on` means that it applies.
 */
export function gateFor(
  transition: Transition,
  at: GuardContext,
  kit: Pick<Kit, 'floors' | 'queueRoles'>,
): AskedGate | null {
  return mergeAsked(gatesOf(transition, kit), at, kit);
}

/** Of these gates, those that ask. */
export function mergeAsked(
  gates: readonly Gate[],
  at: GuardContext,
  kit: Pick<Kit, 'queueRoles'>,
): AskedGate | null {
  const found = gates.flatMap((gate) => {
    const asked = askedBy(gate, at);
    return asked === null ? [] : [{ gate, asked }];
  });
  const [first, ...others] = found;
  if (first === undefined) return null;
  // Each with its own people before they are merged: a queue beside another gate's roles asks for somebody of it still.
  const people = ({ gate }: { readonly gate: Gate }): Gate => ({ ...gate, roles: gateRoles(gate, kit) });
  return {
    gate:
      others.length === 0
        ? ruleOf(first.gate)
        : others.reduce((sofar, one) => strictest(sofar, people(one)), ruleOf(people(first))),
    asked: found.map((one) => one.asked),
  };
}

/** When gates ask, as their conditions are written; null: always. */
export function whenAsked(gates: readonly Gate[]): string | null {
  const texts = gates.map(({ on }) =>
    on === null ? null : on.kind === 'expr' ? on.expr.text : JSON.stringify(on),
  );
  return texts.length === 0 || texts.includes(null) ? null : [...new Set(texts)].join(' or ');
}

/** What the digest binds: the rules, and not where they are written. */
function ruleOf({ origin: _origin, parts: _parts, ...rules }: Gate): Gate {
  return rules;
}

/** The environment's floor under an effect; a step without one, and a person's own, have none. */
export function floorsFor(
  { executor, tier }: { readonly executor: Executor | null; readonly tier: Tier | null },
  { floors }: Pick<Kit, 'floors'>,
): Gate[] {
  if (executor === null || executor.kind === 'human' || executor.kind === 'noop') return [];
  return floors.flatMap((one) => (one.tiers.includes(tier ?? 'none') ? [one.gate] : []));
}

function askedBy(gate: Gate, at: GuardContext): Asked | null {
  if (gate.on !== null && verdictOf(gate.on, at) === 'fail') return null;
  return {
    source: gate.origin?.source ?? 'transition',
    path: gate.origin?.path ?? null,
    rule: gate.because.join('; '),
    reason: gate.on === null ? null : becauseOf(gate.on, at),
  };
}

/** `amount 60,000 > 50,000`: the comparison with what it read; of other conditions, and of errors, the guard's reason. */
function becauseOf(on: Guard, at: GuardContext): string {
  const { verdict, reason } = evaluateGuard(on, at);
  if (on.kind !== 'expr' || verdict !== 'pass') return reason;
  const { left, operator, right } = on.expr;
  return `${side(left, at)} ${operator} ${side(right, at)}`;
}

const longestValue = 120;

function side(operand: Operand, at: GuardContext): string {
  const value = operand.kind === 'literal' ? operand.value : (valueAt(at, operand) ?? null);
  const text = typeof value === 'number' ? grouped(value) : JSON.stringify(value);
  const cut = truncate(text, longestValue);
  return operand.kind === 'literal' ? cut : `${operand.text} ${cut}`;
}

/** Where gate and executor name no role, the queue's; where there are none either, the permission decides. */
export function gateRoles(gate: Gate, kit: Pick<Kit, 'queueRoles'>): readonly string[] {
  if (gate.roles.length > 0 || gate.queue === null) return gate.roles;
  return kit.queueRoles(gate.queue);
}

export type MayDecide =
  | { readonly status: 'yes' }
  | {
      readonly status: 'no';
      readonly why:
        'not_human' | 'not_direct' | 'requester' | Excluded['why'] | 'role_missing' | 'already_decided';
      readonly message: string;
    };

const excludedAs: Readonly<Record<Excluded['why'], string>> = {
  author: 'wrote this version of the flow',
  promoter: 'brought this version of the flow into the environment',
  approver: 'has approved something in this run before',
};

/** Who may decide this approval now (SEMANTICS §6): one function for every door. */
export function mayDecide(approval: ApprovalState, principal: Principal): MayDecide {
  if (principal.kind !== 'human') {
    return {
      status: 'no',
      why: 'not_human',
      message: `only a human decides; \`${principal.id}\` is of kind ${principal.kind}`,
    };
  }
  if (approval.gate.direct === 'required' && principal.actedBy !== undefined) {
    return {
      status: 'no',
      why: 'not_direct',
      message: `this gate asks for the human itself; \`${principal.actedBy}\` acts for \`${principal.id}\``,
    };
  }
  if (approval.gate.separation.requester !== false && approval.requesters.includes(principal.id)) {
    return {
      status: 'no',
      why: 'requester',
      message: `\`${principal.id}\` asked for this action and may not decide it`,
    };
  }
  const excluded = approval.excluded?.find((one) => one.id === principal.id);
  if (excluded !== undefined) {
    return {
      status: 'no',
      why: excluded.why,
      message: `\`${principal.id}\` ${excludedAs[excluded.why]} and may not decide it: the gate asks for somebody else`,
    };
  }
  const roles = approval.roles;
  if (
    roles.length > 0
      ? !roles.some((role) => principal.roles.includes(role))
      : !principal.permissions.includes('approval.decide')
  ) {
    const wants =
      roles.length > 0
        ? `one of the roles ${roles.map((role) => `\`${role}\``).join(', ')}`
        : 'the permission `approval.decide`';
    return { status: 'no', why: 'role_missing', message: `deciding this takes ${wants}` };
  }
  if (approval.decisions.some((one) => one.by.id === principal.id)) {
    return {
      status: 'no',
      why: 'already_decided',
      message: `\`${principal.id}\` has already decided this approval`,
    };
  }
  return { status: 'yes' };
}
