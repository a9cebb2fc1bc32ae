import { createHash } from 'node:crypto';
import { canonical } from '../../src/model/values/canonical.js';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Message, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import {
  defaultReliability,
  type Gate,
  type Guard,
  type Operand,
  type Operator,
  type Plan,
  type State,
  type Transition,
} from '../../src/engine/plan.js';
import { decide, initialRun, wakeTime } from '../../src/engine/index.js';
import { isRead } from '../../src/executors/index.js';
import type { EventResult, Event, Kit, RunState } from '../../src/engine/state.js';

// Plans and events written by hand, without the notation of policies that usually makes them.

export const kit: Kit = {
  digest: (value) => `sha256:${createHash('sha256').update(canonical(value)).digest('hex')}`,
  validate: (_schema, value) => ({ status: 'valid', value }),
  queueRoles: (queue) => (queue === 'controllers' ? ['finance.controller'] : []),
  gateTimeoutMs: 3_600_000,
  floors: [],
  author: null,
  promoter: null,
  businessEnd: (from, ms) => from + ms,
  connection: (name) => `sha256:${name}`,
  rightsNow: (asked) => asked,
  isRead,
  show: ({ title, target }, { arguments: args, denied }) => ({
    summary: title,
    consequence: target,
    preview: { arguments: args, denied: denied?.by ?? null },
  }),
};

export function principal(
  id: string,
  kind: Principal['kind'] = 'human',
  extra: Partial<Principal> = {},
): Principal {
  return { id, kind, roles: [], permissions: [], ...extra };
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

let counter = 0;

export function message(by: Principal, body: MessageBody, fields: Partial<Message> = {}): Message {
  counter += 1;
  return {
    v: 1,
    id: `msg_${counter}`,
    run: 'run_1',
    time: '2026-01-01T00:00:00.000Z',
    principal: by,
    body,
    refs: [],
    ...fields,
  };
}

/** A run and everything that happened to it. */
export interface Walk {
  kit: Kit;
  run: RunState;
  last: EventResult;
  readonly history: EventResult[];
  send(event: Event): EventResult;
  submit(by: Principal, name: string, args?: JsonObject, expectedVersion?: number | null): EventResult;
  decide(by: Principal, approval: string, decision: 'approve' | 'deny', digest?: string): EventResult;
  /** The approval's timer goes. */
  fire(approval: string): EventResult;
  outcome(result?: Partial<Extract<Event, { kind: 'outcome' }>['result']> & object): EventResult;
}

export const time = '2026-01-01T00:00:00.000Z';

export function begin(
  of: Plan,
  input: JsonObject = {},
  by: Principal = principal('starter'),
  hands: Kit = kit,
): Walk {
  const start = message(by, {
    kind: 'start',
    flow: of.name,
    flowVersion: 1,
    planHash: 'sha256:p',
    environment: 'dev',
    mode: 'live',
    traceId: 't',
    input,
  });
  const first = initialRun(of, 'sha256:p', start);
  if (first === null) throw new Error('no start');
  let step = 0;
  const walk: Walk = {
    kit: hands,
    run: first,
    last: { state: first, effects: [], trace: [], actions: [] },
    history: [],
    send(event) {
      step += 1;
      const result = decide(of, walk.run, event, walk.kit, `s${step}`);
      walk.run = result.state;
      walk.last = result;
      walk.history.push(result);
      return result;
    },
    submit: (who, name, args = {}, expectedVersion = null) =>
      walk.send({
        kind: 'message',
        time,
        message: message(who, { kind: 'submit', transition: name, arguments: args, expectedVersion }),
      }),
    decide(who, approval, decision, digest) {
      const known = walk.run.approvals.find((candidate) => candidate.id === approval)?.action.digest ?? '';
      return walk.send({
        kind: 'message',
        time,
        message: message(who, {
          kind: 'decide',
          approval,
          decision,
          digest: digest ?? known,
          reasonGiven: false,
        }),
      });
    },
    fire(approval) {
      const at = walk.run.approvals.find((candidate) => candidate.id === approval)?.timer ?? 0;
      return walk.send({ kind: 'deadline', time: new Date(at).toISOString(), approval });
    },
    outcome(result = {}) {
      const done = {
        status: 'succeeded',
        output: {},
        response: {},
        evidence: [],
        attempt: 1,
        outputRef: null,
        ...result,
      } as Extract<Event, { kind: 'outcome' }>['result'];
      return walk.send({ kind: 'outcome', time, action: walk.run.executing?.action.id ?? '', result: done });
    },
  };
  walk.send({ kind: 'message', time, message: start });
  return walk;
}

/** Milliseconds from `time` until the run's timer goes; null: it has no timer. */
export function wakesAfter({ run }: Pick<Walk, 'run'>): number | null {
  const at = wakeTime(run);
  return at === null ? null : at - Date.parse(time);
}

export function answerOf(result: EventResult): { status: string; code?: string } | undefined {
  const found = result.effects.find((effect) => effect.kind === 'answer');
  return found?.kind === 'answer' ? found.answer : undefined;
}
