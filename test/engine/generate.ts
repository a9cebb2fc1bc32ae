import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import type { Message, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import {
  operators,
  type Charter,
  type Executor,
  type Gate,
  type GateTimeout,
  type Guard,
  type Mapping,
  type Operand,
  type Plan,
} from '../../src/engine/plan.js';
import type { ApprovalState, Event, Outcome, RunState } from '../../src/engine/state.js';
import { gate, plan, rest, state, transition } from './build.js';
import { time } from './walk.js';

// Random flows, people and events, small enough that most of them get somewhere.

/** Plain names, some of which mean something in JavaScript. */
export const names = ['a', 'b', '__proto__', 'constructor', 'a/b', 'a~b', 'toString'] as const;
const name = fc.constantFrom(...names);

const scalar: fc.Arbitrary<string | number | boolean | null> = fc.oneof(
  fc.constantFrom(0, 1, 2, 2.5, -1),
  fc.constantFrom('', 'a', 'ab'),
  fc.boolean(),
  fc.constant(null),
);
export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;
export const object: fc.Arbitrary<JsonObject> = fc
  .array(fc.tuple(name, json), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries));

const operand: fc.Arbitrary<Operand> = fc.oneof(
  scalar.map((value): Operand => ({ kind: 'literal', value })),
  fc
    .tuple(fc.constantFrom('context', 'arguments', 'input' as const), fc.array(name, { maxLength: 2 }))
    .map(([scope, segments]): Operand => ({
      ...{ kind: 'path', scope: scope as 'context', segments, optional: false },
      text: `$.${scope}.${segments.join('.')}`,
    })),
);

const comparison: fc.Arbitrary<Guard> = fc
  .record({
    left: operand,
    operator: fc.constantFrom(...operators),
    right: operand,
    text: fc.constant('as written'),
  })
  .map((expr): Guard => ({ kind: 'expr', expr }));

export const leaf: fc.Arbitrary<Guard> = fc.oneof(
  { weight: 4, arbitrary: comparison },
  fc.constantFrom('p1', 'p2').map((permission): Guard => ({ kind: 'permission', permission })),
  fc.constantFrom('r1', 'r2').map((role): Guard => ({ kind: 'role', role })),
  fc
    .record({
      kind: fc.constantFrom('rest_call', 'human_request', 'own', '__proto__'),
      count: fc.constantFrom(1, 2),
      distinct: fc.boolean(),
    })
    .map((need): Guard => ({ kind: 'evidence', requires: [need] })),
);

export const guard: fc.Arbitrary<Guard> = fc.letrec<{ guard: Guard }>((tie) => ({
  guard: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .array(tie('guard'), { minLength: 1, maxLength: 3 })
      .map((guards): Guard => ({ kind: 'allOf', guards })),
    fc
      .array(tie('guard'), { minLength: 1, maxLength: 3 })
      .map((guards): Guard => ({ kind: 'anyOf', guards })),
    tie('guard').map((inner): Guard => ({ kind: 'not', guard: inner })),
  ),
})).guard;

const executor: fc.Arbitrary<Executor | null> = fc.constantFrom<Executor | null>(
  null,
  rest,
  rest,
  { kind: 'noop', output: null },
  { kind: 'human', queue: null, roles: ['r1'] },
);

const laterStage: GateTimeout = { afterMs: 2_000, action: 'escalate', to: ['r1'] };

const onePlace: fc.Arbitrary<Gate> = fc
  .record({
    on: fc.option(comparison, { freq: 3 }),
    roles: fc.constantFrom(['r1'], ['r1', 'r2'], []),
    count: fc.constantFrom(1, 2),
    perRole: fc.constantFrom([], [{ role: 'r1', count: 1 }]),
    timeout: fc.constantFrom(null, 'deny', 'escalate', 'approve' as const),
    stages: fc.boolean(),
    reminders: fc.constantFrom(undefined, [0.5], [0.25, 0.75]),
    approvers: fc.constantFrom(undefined, true),
  })
  .map(({ on, roles, count, perRole, timeout, stages, reminders, approvers }) =>
    gate({
      ...{ on, roles },
      quorum: { count, perRole: roles.length === 0 ? [] : perRole },
      timeout:
        timeout === null
          ? null
          : {
              ...{ afterMs: 1_000, action: timeout as 'deny', to: timeout === 'escalate' ? ['r2'] : [] },
              ...(stages && timeout === 'escalate' ? { then: laterStage } : {}),
            },
      ...(reminders === undefined ? {} : { reminders }),
      ...(approvers === undefined
        ? {}
        : { separation: { requester: true, author: false, promoter: false, approvers } }),
    }),
  );

/** Gates of no place, of one place, or of two. */
const gates: fc.Arbitrary<readonly Gate[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 3, arbitrary: onePlace.map((gate) => [gate]) },
  { weight: 2, arbitrary: fc.tuple(onePlace, onePlace) },
);

const mapping: fc.Arbitrary<Mapping> = fc.oneof(
  fc.record({ key: name, value: operand }).map(({ key, value }): Mapping => ({
    key,
    spec: { kind: 'set', value },
  })),
  fc
    .record({
      key: name,
      kind: fc.constantFrom('add', 'subtract', 'multiply', 'divide', 'concat' as const),
      operands: fc.array(operand, { minLength: 2, maxLength: 2 }),
    })
    .map(({ key, kind, operands }): Mapping => ({ key, spec: { kind: kind as 'add', operands } })),
);

const tools = ['t1', '__proto__'] as const;
const charter: fc.Arbitrary<Charter | null> = fc.constantFrom(
  ...[null, null, null, null, null, null],
  { read: ['t1'], execute: ['__proto__'], deny: [], unmapped: [] },
  { read: ['t1', '__proto__'], execute: [], deny: ['__proto__', 'b'], unmapped: [] },
  { read: ['__proto__'], execute: ['t1'], deny: [], unmapped: ['t1'] },
);

const stateNames = ['s0', '__proto__', 's/2', 's3'];

const transitions = fc
  .array(
    fc.record({
      target: fc.constantFrom(...stateNames),
      actor: fc.constantFrom('agent', 'agent', 'agent', 'agent', 'human', 'system', 'deterministic' as const),
      tier: fc.constantFrom(null, 'reversible', 'irreversible' as const),
      guards: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(guard, { maxLength: 2 }) },
      ),
      gates,
      executor,
      onDeny: fc.option(fc.constantFrom(...stateNames), { freq: 3 }),
      evidence: fc.constantFrom(null, 'own'),
      branches: fc.array(fc.record({ when: comparison, target: fc.constantFrom(...stateNames) }), {
        maxLength: 1,
      }),
      output: fc.array(mapping, { maxLength: 2 }),
      tool: fc.constantFrom(null, ...tools),
      inputSchema: fc.constantFrom({}, {}, {}, { maxProperties: 2 }, null),
      prefill: fc.array(
        operand.map((value) => ({ key: 'a', value })),
        { maxLength: 1 },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) =>
    all.map(({ target, ...fields }, index) => transition(names[index] ?? 'x', target, fields as object)),
  );

/** Four states, the last one terminal. */
export const flow: fc.Arbitrary<Plan> = fc
  .record({
    states: fc.tuple(transitions, transitions, transitions),
    onEnter: fc.constantFrom(null, rest),
    onEnterOutput: fc.array(mapping, { maxLength: 1 }),
    notation: fc.constantFrom('states', 'states', 'states', 'agent' as const),
    charter,
    inputSchema: fc.constantFrom({}, {}, {}, {}, {}, { maxProperties: 3 }, null),
    context: object,
    linkFilter: fc.constantFrom('all', 'byGuards' as const),
    timeout: fc.constantFrom(null, 1_000),
    onTimeout: fc.constantFrom(null, { target: 's3' }, { target: '__proto__' }),
  })
  .map(({ states, onEnter, onEnterOutput, context, timeout, ...fields }) =>
    plan(
      [
        ...states.map((own, index) =>
          state(stateNames[index] ?? '', own, {
            onEnter:
              index === 1 && onEnter !== null
                ? {
                    executor: onEnter,
                    output: onEnterOutput,
                    reliability: transition('x', 'x').reliability,
                    evidence: 'own',
                  }
                : null,
          }),
        ),
        state('s3'),
      ],
      { ...(fields as Partial<Plan>), initialContext: context, timeoutMs: timeout, maxChainDepth: 5 },
    ),
  );

const everything = ['p1', 'p2', 'run.operate', 'approval.decide'];

/** Mostly people who may do everything: somebody has to get somewhere. */
export const principal: fc.Arbitrary<Principal> = fc.record({
  id: fc.constantFrom('ann', 'ben', 'cat', 'bot', '__proto__'),
  kind: fc.constantFrom<Principal['kind']>('human', 'human', 'human', 'agent', 'system'),
  roles: fc.oneof({ weight: 2, arbitrary: fc.constant<string[]>(['r1', 'r2']) }, fc.subarray(['r1', 'r2'])),
  permissions: fc.oneof({ weight: 2, arbitrary: fc.constant(everything) }, fc.subarray(everything)),
});

/** What may happen next; which approval, action or digest it names is chosen when the run is known. */
export type Happening =
  | {
      readonly kind: 'submit';
      readonly by: Principal;
      readonly transition: string;
      readonly arguments: JsonObject;
      readonly stale: boolean;
    }
  | {
      readonly kind: 'decide';
      readonly by: Principal;
      readonly which: number;
      readonly approve: boolean;
      readonly forged: boolean;
    }
  | { readonly kind: 'cancel' | 'retry'; readonly by: Principal }
  | { readonly kind: 'outcome'; readonly result: Outcome; readonly other: boolean }
  | { readonly kind: 'deadline'; readonly which: number }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'again'; readonly which: number };

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  {
    weight: 3,
    arbitrary: json.map((output): Outcome => ({
      ...{ status: 'succeeded', output, response: { status: 200 } },
      ...{ evidence: ['rest_call'], attempt: 1, outputRef: null },
    })),
  },
  fc.constantFrom<Outcome>(
    { status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 },
    { status: 'unknown', message: 'lost', attempt: 1 },
  ),
);

export const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      by: principal,
      arguments: fc.oneof(fc.constant({}), object),
      // Flows have up to three transitions a state, named by the first names.
      transition: fc.constantFrom('a', 'a', 'a', 'b', 'b', '__proto__', 'constructor'),
      stale: fc.nat(19).map((number) => number === 0),
    }),
  },
  {
    weight: 16,
    arbitrary: fc.record({
      ...{ kind: fc.constant('decide' as const), by: principal, which: fc.nat(3) },
      approve: fc.nat(4).map((number) => number !== 0),
      forged: fc.nat(19).map((number) => number === 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom<'cancel' | 'retry'>('cancel', 'retry', 'retry', 'retry'),
      by: principal,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      result: outcomes,
      other: fc.nat(9).map((number) => number === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deadline' as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'timeout' }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('again' as const), which: fc.nat(9) }),
  },
);

/** Mostly an approval that is still open. */
function approvalOf(run: RunState, which: number): ApprovalState | undefined {
  const open = run.approvals.filter(
    (approval) => approval.status === 'open' || approval.status === 'escalated',
  );
  const some = which > 2 || open.length === 0 ? run.approvals : open;
  return some[which % Math.max(some.length, 1)];
}

/** A happening as an event of this run, as the kernel would hand it to a policy check. */
export function eventOf(
  run: RunState,
  happens: Happening,
  number: number,
  earlier: readonly Message[],
): Event {
  switch (happens.kind) {
    case 'submit':
      return sent(happens.by, number, {
        ...{ kind: 'submit', transition: happens.transition, arguments: happens.arguments },
        expectedVersion: happens.stale ? run.version + 1 : null,
      });
    case 'decide': {
      const approval = approvalOf(run, happens.which);
      return sent(happens.by, number, {
        ...{
          kind: 'decide',
          approval: approval?.id ?? 'apr_none',
          decision: happens.approve ? 'approve' : 'deny',
        },
        ...{ digest: happens.forged ? 'sha256:forged' : (approval?.action.digest ?? ''), reasonGiven: false },
      });
    }
    case 'cancel':
    case 'retry':
      return sent(happens.by, number, { kind: happens.kind });
    case 'outcome':
      return {
        ...{ kind: 'outcome', time, result: happens.result },
        action: happens.other ? 'act_other' : (run.executing?.action.id ?? 'act_none'),
      };
    case 'deadline': {
      const approval = approvalOf(run, happens.which);
      const at = approval?.timer ?? 0;
      return {
        ...{ kind: 'deadline', time: new Date(at).toISOString() },
        approval: approval?.id ?? 'apr_none',
      };
    }
    case 'timeout':
      return { kind: 'timeout', time };
    case 'again': {
      const last = earlier[happens.which % Math.max(earlier.length, 1)];
      if (last === undefined)
        return { kind: 'refused_message', time, reason: 'unsigned', name: 'submit', message: null };
      // The store knows which messages were taken: one that comes again reaches the run as a replay.
      const message = { id: last.id, digest: 'sha256:x' };
      return { kind: 'refused_message', time, reason: 'replayed', name: last.body.kind, message };
    }
  }
}

function sent(by: Principal, number: number, body: MessageBody): Event {
  const message: Message = {
    ...{ v: 1, id: `msg_${number}`, run: 'run_1', time },
    ...{ principal: by, body, refs: [] },
  };
  return { kind: 'message', time, message };
}
