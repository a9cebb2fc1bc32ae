import assert from 'node:assert/strict';
import { decide } from '../../src/engine/index.js';
import type { Transition } from '../../src/engine/plan.js';
import type { EventResult, Event } from '../../src/engine/state.js';
import type { JsonObject } from '../../src/model/values/json.js';
import { compileSchema } from '../../src/schema/index.js';
import { makeKit } from '../../src/schema/kit.js';
import { expr, gate, keyless, literal, path, plan, state, transition } from '../engine/build.js';
import { agent, principal } from '../engine/people.js';
import { begin, message, time, type Walk } from '../engine/walk.js';
import { failClosed } from './support/cells.js';
import { answers, facing, isStuck, odd, recorded, refuses } from './support/refused.js';

// A submit, a start and an operator's word, check by check before any guard.

const realKit = makeKit(
  { v: 1, baseDirectory: '/', connections: [], environments: [], roles: [], queues: [] },
  'dev',
  { author: null, promoter: null },
);
const amount: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['amount'],
  properties: { amount: { type: 'number' } },
};
const unresolvable: JsonObject = { $ref: 'https://nowhere.example/schema' };

/** As `Walk.send`, with JSON Schema as the service has it. */
function sendChecked(walk: Walk, of: Parameters<typeof decide>[0], event: Event): EventResult {
  const decision = decide(of, walk.run, event, realKit, `c${walk.history.length}`);
  walk.run = decision.state;
  walk.last = decision;
  return decision;
}

function refusesArguments(inputSchema: JsonObject | null, args: JsonObject): void {
  const of = plan([state('a', [transition('go', 'b', { inputSchema })]), state('b')]);
  const walk = begin(of);
  const body = { kind: 'submit', transition: 'go', arguments: args, expectedVersion: null } as const;
  refuses(
    walk,
    () => sendChecked(walk, of, { kind: 'message', time, message: message(agent, body) }),
    'INPUT_INVALID',
    'transition.rejected',
  );
}

failClosed('schema.compile', {
  error: () => assert.equal(compileSchema(unresolvable).status, 'invalid'),
  malformed: () => {
    for (const schema of [{ type: 'nothing' }, { tpye: 'string' }, { $async: true }, { minimum: 'a' }])
      assert.equal(compileSchema(schema).status, 'invalid', JSON.stringify(schema));
  },
});

failClosed('submit.input', {
  error: () => refusesArguments(unresolvable, { amount: 1 }),
  missing: () => refusesArguments(amount, {}),
  malformed: () => {
    refusesArguments(amount, { amount: '1' });
    refusesArguments(amount, { amount: 1, more: true });
  },
  empty: () => refusesArguments(null, { amount: 1 }),
});

/** The start reached the run, past the API's own check: it ends there. */
function failsAtStart(inputSchema: JsonObject | null, input: JsonObject): void {
  const of = plan([state('a', [transition('go', 'b')]), state('b')], { inputSchema });
  const walk = begin(of);
  const fresh = { ...walk.run, input, seen: [] };
  const first = walk.history.length;
  const facts = { flow: 'flow', flowVersion: 1, planHash: 'sha256:p', environment: 'dev', traceId: 't' };
  const body = { kind: 'start', ...facts, mode: 'live', input } as const;
  const event = { kind: 'message', time, message: message(agent, body) } as const;
  const decision = decide(of, fresh, event, realKit, `start${first}`);
  assert.deepEqual([decision.state.status, decision.state.problem?.code], ['failed', 'START_REFUSED']);
  assert.ok(decision.effects.every((one) => one.kind !== 'execute'));
  assert.equal(recorded(decision, 'run.failed').length, 1);
}

failClosed('start.input', {
  error: () => failsAtStart(unresolvable, { amount: 1 }),
  missing: () => failsAtStart(amount, {}),
  malformed: () => failsAtStart(amount, { amount: 'many' }),
  empty: () => failsAtStart(null, { amount: 1 }),
});

const wrongKind = (kind: unknown) => (): void => {
  for (const actor of ['agent', 'human', 'system', 'deterministic'] as const) {
    const walk = facing({ actor });
    const who = { ...principal('x'), kind: odd<'human'>(kind) };
    refuses(walk, () => walk.submit(who, 'go'), 'ACTOR_MISMATCH', 'transition.rejected');
  }
};

failClosed('actor', {
  error: () => {
    const human = facing({ actor: 'human' });
    const args = { kind: 'human', principal: { kind: 'human' } };
    refuses(human, () => human.submit(agent, 'go', args), 'ACTOR_MISMATCH', 'transition.rejected');
    const nobody = facing({ actor: 'deterministic' });
    refuses(nobody, () => nobody.submit(agent, 'go'), 'ACTOR_MISMATCH', 'transition.rejected');
  },
  missing: wrongKind(undefined),
  malformed: () => {
    wrongKind('Human')();
    const walk = facing({ actor: odd('anybody') });
    refuses(walk, () => walk.submit(agent, 'go'), 'ACTOR_MISMATCH', 'transition.rejected');
  },
  empty: wrongKind(''),
});

const nothing = { read: [], execute: [], deny: [], unmapped: [] };

function blocks(name: string, charter: object, fields: object, rule: string): void {
  const tool = { tool: 'bank.pay', tier: 'reversible', executor: keyless, ...fields } as const;
  const walk = facing(tool, { notation: 'agent', charter: { ...nothing, ...charter } });
  const decision = refuses(walk, () => walk.submit(agent, name), 'BLOCKED', 'policy.blocked');
  assert.equal(answers(decision)[0]?.['rule'], rule);
}

failClosed('charter', {
  error: () => blocks('go', { execute: ['bank.pay'], deny: ['bank.pay'] }, {}, 'denied'),
  missing: () => blocks('bank.close', { execute: ['bank.pay'] }, {}, 'undeclared'),
  malformed: () => {
    blocks('go', { execute: ['bank.pay'] }, { tier: null }, 'unmapped');
    blocks('go', { execute: ['bank.pay'], unmapped: ['bank.pay'] }, {}, 'unmapped');
    blocks('go', {}, { tool: null, tier: null }, 'unmapped');
  },
  empty: () => blocks('go', nothing, {}, 'undeclared'),
});

function stuck(): Walk {
  const walk = facing({ executor: keyless });
  walk.submit(agent, 'go');
  walk.outcome({ status: 'unknown', message: 'lost' } as object);
  return walk;
}

failClosed('run.status', {
  error: () => {
    const walk = stuck();
    refuses(walk, () => walk.submit(agent, 'go'), 'RUN_STUCK', 'transition.rejected');
  },
  timeout: () => {
    const walk = facing({ executor: keyless });
    walk.submit(agent, 'go');
    refuses(walk, () => walk.submit(agent, 'go'), 'RUN_BUSY', 'transition.rejected');
  },
  missing: () => {
    const walk = facing({});
    refuses(walk, () => walk.submit(agent, 'nowhere'), 'UNKNOWN_TRANSITION', 'transition.rejected');
  },
  malformed: () => {
    for (const version of [7, -1, 0.5, Number.NaN]) {
      const walk = facing({});
      refuses(walk, () => walk.submit(agent, 'go', {}, version), 'STALE_VERSION', 'transition.rejected');
    }
  },
  empty: () => {
    const walk = facing({});
    walk.submit(agent, 'go');
    refuses(walk, () => walk.submit(agent, ''), 'RUN_CLOSED', 'transition.rejected');
  },
});

const operate = (walk: Walk, permissions: readonly string[], kind: 'cancel' | 'retry') => (): EventResult =>
  walk.send({
    kind: 'message',
    time,
    message: message(principal('ops', 'human', { permissions: [...permissions] }), { kind }),
  });

failClosed('operate', {
  error: () => {
    const walk = facing({});
    refuses(walk, operate(walk, ['run.operate'], 'retry'), 'NOT_STUCK', 'transition.rejected');
    walk.submit(agent, 'go');
    refuses(walk, operate(walk, ['run.operate'], 'cancel'), 'RUN_CLOSED', 'transition.rejected');
  },
  missing: () => {
    const walk = stuck();
    refuses(walk, operate(walk, ['run.read'], 'retry'), 'FORBIDDEN', 'transition.rejected');
  },
  malformed: () => {
    const walk = stuck();
    refuses(walk, operate(walk, ['Run.Operate', '*'], 'cancel'), 'FORBIDDEN', 'transition.rejected');
  },
  empty: () => {
    const walk = stuck();
    refuses(walk, operate(walk, [], 'cancel'), 'FORBIDDEN', 'transition.rejected');
  },
});

/** Stuck on an effect whose outcome nobody knows. */
function unknown(fields: Partial<Transition> = {}): Walk {
  const walk = facing({ executor: keyless, tier: 'irreversible', ...fields });
  walk.submit(agent, 'go');
  walk.outcome({ status: 'unknown', message: 'lost', attempt: 1 } as never);
  assert.equal(walk.run.problem?.code, 'EXECUTOR_UNKNOWN');
  return walk;
}
const retryAs = (walk: Walk, kind: string) => (): EventResult =>
  walk.send({
    kind: 'message',
    time,
    message: message(principal('ops', kind as 'human', { permissions: ['run.operate'] }), { kind: 'retry' }),
  });

failClosed('operate.unknown', {
  error: () => {
    const errs = expr(path('context', 'n'), '<', literal(1));
    const walk = unknown();
    const guarded = facing({ executor: keyless, guards: [errs] });
    guarded.run = { ...guarded.run, ...pickStuck(walk) };
    refuses(guarded, retryAs(guarded, 'human'), 'GUARD_REJECTED', 'transition.rejected');
  },
  missing: () => {
    const walk = unknown();
    walk.kit = { ...walk.kit, floors: [{ tiers: ['irreversible'], gate: gate() }] };
    const decision = retryAs(walk, 'human')();
    assert.equal(recorded(decision, 'human.approval.requested').length, 1);
    assert.deepEqual([walk.run.status, walk.run.executing], ['stuck', null]);
  },
  malformed: () => {
    for (const kind of ['agent', 'system', 'Human'])
      refuses(unknown(), (walk) => retryAs(walk, kind)(), 'HUMANS_ONLY', 'transition.rejected');
  },
  empty: () => {
    refuses(unknown(), (walk) => retryAs(walk, '')(), 'HUMANS_ONLY', 'transition.rejected');
  },
});

/** What makes it stuck, as another run has it. */
function pickStuck({
  run: { status, problem, stuckOn },
}: Walk): Pick<Walk['run'], 'status' | 'problem' | 'stuckOn'> {
  return { status, problem, stuckOn };
}

failClosed('run.state', {
  error: () => {
    const guards = [{ kind: 'evidence', requires: [] }] as const;
    isStuck(
      begin(plan([state('a', [transition('go', 'b', { guards })]), state('b')])),
      'NO_ELIGIBLE_TRANSITION',
    );
  },
  missing: () => isStuck(begin(plan([state('a')], { initialState: 'gone' })), 'NO_ELIGIBLE_TRANSITION'),
  malformed: () => {
    const walk = begin(plan([state('a', [transition('go', 'b')]), state('b', [], { outcome: 'failure' })]));
    const decision = walk.submit(agent, 'go');
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['failed', 'OUTCOME_FAILURE']);
    assert.equal(recorded(decision, 'run.failed').length, 1);
  },
  empty: () => isStuck(begin(plan([state('a', [], { terminal: false })])), 'NO_ELIGIBLE_TRANSITION'),
});
