import {
  defaultReliability,
  type Gate,
  type Guard,
  type OnEnter,
  type Operand,
  type Operator,
  type Plan,
  type State,
  type Transition,
} from '../../src/engine/plan.js';
import type { RestExecutor } from '../../src/executors/rest/types.js';

// Plans written by hand, without the notation of policies that usually makes them.

/** A call like any other, with an idempotency key. */
export const rest: RestExecutor = {
  ...{ kind: 'rest', connection: 'c', method: 'POST', path: { kind: 'text', parts: ['/'] } },
  ...{ query: [], headers: [], body: null, idempotencyKey: true },
};
/** The same without a key: what may have happened is not asked for again without a person. */
export const keyless: RestExecutor = { ...rest, idempotencyKey: false };

/** The field of a state that has a call made on entering it. */
export function onEnter(fields: Partial<OnEnter> = {}): { readonly onEnter: OnEnter } {
  return {
    onEnter: { executor: rest, output: [], reliability: defaultReliability, evidence: null, ...fields },
  };
}

/** `gate`: its only gate. */
export type Fields = Partial<Transition> & { readonly gate?: Gate | null };

export function transition(name: string, target: string, { gate: own, ...fields }: Fields = {}): Transition {
  return {
    name,
    title: name,
    description: null,
    target,
    onDeny: null,
    actor: 'agent',
    tier: null,
    tool: null,
    inputSchema: { type: 'object' },
    outputSchema: null,
    prefill: [],
    guards: [],
    gates: own === undefined || own === null ? [] : [own],
    executor: null,
    output: [],
    branches: [],
    evidence: null,
    reliability: defaultReliability,
    ...fields,
  };
}

export function state(
  name: string,
  transitions: readonly Transition[] = [],
  fields: Partial<State> = {},
): State {
  return {
    name,
    description: null,
    goal: null,
    terminal: transitions.length === 0,
    outcome: null,
    onEnter: null,
    linkFilter: null,
    transitions,
    ...fields,
  };
}

export function plan(states: readonly State[], fields: Partial<Plan> = {}): Plan {
  return {
    v: 1,
    name: 'flow',
    notation: 'states',
    title: null,
    description: null,
    owner: 'team',
    tags: [],
    environment: null,
    inputSchema: { type: 'object' },
    initialState: states[0]?.name ?? '',
    initialContext: {},
    linkFilter: 'all',
    timeoutMs: null,
    onTimeout: null,
    maxChainDepth: 50,
    charter: null,
    states,
    ...fields,
  };
}

export function gate(fields: Partial<Gate> = {}): Gate {
  return {
    on: null,
    roles: ['finance.controller'],
    queue: null,
    quorum: { count: 1, perRole: [] },
    separation: { requester: true, author: false, promoter: false },
    reason: 'optional',
    timeout: null,
    because: ['test'],
    ...fields,
  };
}

export const path = (scope: 'arguments' | 'context' | 'input', ...segments: string[]): Operand => ({
  kind: 'path',
  scope,
  segments,
  optional: false,
  text: `$.${scope === 'input' ? 'workflow.input' : scope}.${segments.join('.')}`,
});

export const literal = (value: string | number | boolean | null): Operand => ({ kind: 'literal', value });

export function expr(left: Operand, operator: Operator, right: Operand): Guard {
  return { kind: 'expr', expr: { left, operator, right, text: 'as written' } };
}
