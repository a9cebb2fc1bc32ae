import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/json.js';
import type { Message, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { operators, type Executor, type Guard, type Operand, type Plan } from '../../src/engine/plan.js';
import type { Event, Outcome, RunState } from '../../src/engine/state.js';
import { gate, plan, state, time, transition } from './build.js';

// Flows, people and events by chance, small enough that most of them get somewhere.

/** Plain names, whatever else they mean in a language. */
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

const rest: Executor = {
  ...{ kind: 'rest', connection: 'c', method: 'POST', path: { kind: 'text', parts: ['/'] } },
  ...{ query: [], headers: [], body: null, idempotencyKey: true },
};
const executor: fc.Arbitrary<Executor | null> = fc.constantFrom(null, null, rest, {
  ...{ kind: 'human', queue: null, roles: ['r1'] },
} as Executor);

const gates = fc.option(
  fc
    .record({
      on: fc.option(comparison, { freq: 3 }),
      roles: fc.constantFrom(['r1'], ['r1', 'r2'], []),
      count: fc.constantFrom(1, 2),
      perRole: fc.constantFrom([], [{ role: 'r1', count: 1 }]),
      timeout: fc.constantFrom(null, 'deny', 'escalate', 'approve' as const),
    })
    .map(({ on, roles, count, perRole, timeout }) =>
      gate({
        ...{ on, roles },
        quorum: { count, perRole: roles.length === 0 ? [] : perRole },
        timeout:
          timeout === null
            ? null
            : { afterMs: 1_000, action: timeout as 'deny', to: timeout === 'escalate' ? ['r2'] : [] },
      }),
    ),
  { freq: 2 },
);

const stateNames = ['s0', '__proto__', 's/2', 's3'];

const transitions = fc
  .array(
    fc.record({
      target: fc.constantFrom(...stateNames),
      actor: fc.constantFrom('agent', 'agent', 'human', 'system', 'deterministic' as const),
      tier: fc.constantFrom(null, 'reversible', 'irreversible' as const),
      guards: fc.oneof(fc.constant([]), fc.array(guard, { maxLength: 2 })),
      gate: gates,
      executor,
      onDeny: fc.option(fc.constantFrom(...stateNames), { freq: 3 }),
      evidence: fc.constantFrom(null, 'own'),
      branches: fc.array(fc.record({ when: comparison, target: fc.constantFrom(...stateNames) }), {
        maxLength: 1,
      }),
      output: fc.array(
        fc
          .record({ key: name, value: operand })
          .map(({ key, value }) => ({ key, spec: { kind: 'set' as const, value } })),
        { maxLength: 2 },
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
    context: object,
    linkFilter: fc.constantFrom('all', 'byGuards' as const),
    timeout: fc.constantFrom(null, 1_000),
    onTimeout: fc.constantFrom(null, { target: 's3' }, { target: '__proto__' }),
  })
  .map(({ states, onEnter, context, linkFilter, timeout, onTimeout }) =>
    plan(
      [
        ...states.map((own, index) =>
          state(stateNames[index] ?? '', own, {
            onEnter:
              index === 1 && onEnter !== null
                ? {
                    executor: onEnter,
                    output: [],
                    reliability: transition('x', 'x').reliability,
                    evidence: null,
                  }
                : null,
          }),
        ),
        state('s3'),
      ],
      {
        initialContext: context,
        linkFilter: linkFilter as 'all',
        timeoutMs: timeout,
        onTimeout,
        maxChainDepth: 5,
      },
    ),
  );

export const principal: fc.Arbitrary<Principal> = fc.record({
  id: fc.constantFrom('ann', 'ben', 'bot', '__proto__'),
  kind: fc.constantFrom('human', 'human', 'agent', 'system' as const),
  roles: fc.subarray(['r1', 'r2']),
  permissions: fc.subarray(['p1', 'p2', 'run.operate', 'approval.decide']),
}) as fc.Arbitrary<Principal>;

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
  | { readonly kind: 'again' };

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
    weight: 5,
    arbitrary: fc.record({
      ...{ kind: fc.constant('submit' as const), by: principal, transition: name, arguments: object },
      stale: fc.boolean().map((one) => one && false),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ kind: fc.constant('decide' as const), by: principal, which: fc.nat(3), approve: fc.boolean() },
      forged: fc.nat(9).map((one) => one === 0),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('cancel', 'retry' as const),
      by: principal,
    }) as fc.Arbitrary<Happening>,
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      result: outcomes,
      other: fc.nat(9).map((one) => one === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deadline' as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'timeout' }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'again' }) },
);

/** The event that a happening is for this run, as the kernel would hand it to a policy check. */
export function eventOf(run: RunState, happens: Happening, number: number, last: Message | null): Event {
  switch (happens.kind) {
    case 'submit':
      return sent(happens.by, number, {
        ...{ kind: 'submit', transition: happens.transition, arguments: happens.arguments },
        expectedVersion: happens.stale ? run.version + 1 : null,
      });
    case 'decide': {
      const approval = run.approvals[happens.which % Math.max(run.approvals.length, 1)];
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
    case 'deadline':
      return {
        ...{ kind: 'deadline', time },
        approval: run.approvals[happens.which % Math.max(run.approvals.length, 1)]?.id ?? 'apr_none',
      };
    case 'timeout':
      return { kind: 'timeout', time };
    case 'again':
      return last === null
        ? { kind: 'refused_message', time, reason: 'unsigned', name: 'submit', digest: 'sha256:x' }
        : { kind: 'message', time, message: last };
  }
}

function sent(by: Principal, number: number, body: MessageBody): Event {
  const message: Message = {
    ...{ v: 1, id: `msg_${number}`, delivery: `d${number}`, run: 'run_1', time },
    ...{ principal: by, body, refs: [] },
  };
  return { kind: 'message', time, message };
}
