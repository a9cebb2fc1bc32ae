import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/model/values/json.js';
import { initialRun } from '../../../src/engine/index.js';
import {
  defaultReliability,
  type Executor,
  type Mapping,
  type Operand,
  type State,
} from '../../../src/engine/plan.js';
import type { RunState } from '../../../src/engine/state.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent, operator, principal } from '../people.js';
import {
  answerOf,
  approve,
  begin,
  kit,
  message,
  operate,
  time,
  types,
  wakesAfter,
  type Walk,
} from '../walk.js';

// Steps that few runs take: late cancels and time-outs, retries of an operator, plans and runs that a store has changed.

const lost = { status: 'unknown', message: 'lost' } as object;
const broken = { status: 'failed', errorClass: 'permanent', message: 'no' } as object;
const walkOf = (fields: Fields = {}): Walk =>
  begin(plan([state('a', [transition('go', 'b', fields), transition('note', 'a')]), state('b')]));
const executing = (fields: Fields = {}): Walk => {
  const walk = walkOf({ executor: rest, ...fields });
  walk.submit(agent, 'go', { n: 1 });
  return walk;
};

describe('a start', () => {
  it('is the only message that makes a run', () => {
    assert.equal(initialRun(plan([state('a')]), 'sha256:p', message(agent, { kind: 'cancel' })), null);
  });
  it('is refused where input or initial context cannot be kept', () => {
    let deep: Json = 1;
    for (let left = 20_000; left > 0; left -= 1) deep = [deep];
    const reads = state('a', [
      transition('go', 'a', { guards: [expr(path('input', 'deep'), '==', path('context', 'deep'))] }),
    ]);
    const bad: readonly JsonObject[] = [{ deep }, { deep: '\ud800' }, { deep: Number.NaN }];
    for (const value of bad)
      for (const { run } of [begin(plan([reads]), value), begin(plan([reads], { initialContext: value }))]) {
        assert.deepEqual([run.status, run.problem?.code], ['failed', 'START_REFUSED']);
        assert.ok(run.problem?.message.includes('cannot be kept'));
      }
  });
  it('arms the deadline of its flow, counted from when it came', () => {
    const walk = begin(plan([state('a', [transition('go', 'a')])], { timeoutMs: 60_000 }));
    const at = Date.parse(time) + 60_000;
    assert.deepEqual([walk.run.deadline, wakesAfter(walk)], [at, 60_000]);
  });
});

describe('a message that nobody vouches for', () => {
  it('is recorded with why and with what it named, and changes nothing', () => {
    const walk = walkOf();
    const before = walk.run;
    const refused = { kind: 'refused_message', time, reason: 'unsigned', name: 'submit' } as const;
    const message = { id: 'msg_other', digest: 'sha256:x' };
    const named = walk.send({ ...refused, message });
    assert.deepEqual([named.state, named.effects], [before, []]);
    assert.equal(named.trace[0]?.causation, 'msg_other');
    assert.deepEqual(named.trace[0]?.data, { reason: 'unsigned', name: 'submit', digest: 'sha256:x' });
    const nameless = walk.send({ ...refused, message: null });
    assert.deepEqual([nameless.state, nameless.effects], [before, []]);
    assert.equal(nameless.trace[0]?.causation, undefined);
    assert.deepEqual(nameless.trace[0]?.data, { reason: 'unsigned', name: 'submit' });
  });
});

describe('arguments', () => {
  it('are none where none are taken', () => {
    assert.equal(answerOf(walkOf({ inputSchema: null }).submit(agent, 'go'))?.status, 'executed');
    assert.equal(
      answerOf(walkOf({ inputSchema: null }).submit(agent, 'go', { 'a/b~': 1 }))?.code,
      'INPUT_INVALID',
    );
  });
  it('that cannot be kept are refused before anything reads them', () => {
    assert.equal(answerOf(walkOf().submit(agent, 'go', { text: '\ud800' }))?.code, 'INPUT_INVALID');
  });
});

describe('an outcome', () => {
  const answered = (walk: Walk, output: Json, fields: object = {}) => {
    walk.outcome({ output, ...fields } as object);
    return [walk.run.state, walk.run.version, answerOf(walk.last)?.code];
  };
  it('that no schema or store takes is a failure, and the run stays as it was', () => {
    const schema = { outputSchema: { type: 'object' } };
    for (const output of [null, 'text', 7, ['list']])
      assert.deepEqual(answered(executing(schema), output), ['a', 0, 'EXECUTOR_FAILED']);
    assert.deepEqual(answered(executing(schema), {}), ['b', 1, undefined]);
    assert.deepEqual(answered(executing(), '\ud800'), ['a', 0, 'EXECUTOR_FAILED']);
    assert.deepEqual(answered(executing(), {}, { response: { a: '\ud800' } }), ['a', 0, 'EXECUTOR_FAILED']);
  });
  it('that no schema takes is not known where the effect has happened and a retry would do it again', () => {
    const keyless = { ...rest, idempotencyKey: false } as Executor;
    const schema = { outputSchema: { type: 'object' } };
    const errorClassAfter = (fields: Fields, mode: RunState['mode'] = 'live'): unknown => {
      const walk = executing({ ...schema, ...fields });
      walk.run = { ...walk.run, mode };
      walk.outcome({ output: null } as object);
      assert.deepEqual([walk.run.state, walk.run.version], ['a', 0]);
      const { errorClass } = answerOf(walk.last) as { errorClass?: string };
      assert.equal(walk.run.status, errorClass === 'unknown_outcome' ? 'stuck' : 'running');
      return errorClass;
    };
    const fallback = (executor: Executor) => ({ ...defaultReliability, fallback: [executor] });
    assert.equal(errorClassAfter({ executor: keyless }), 'unknown_outcome');
    assert.equal(errorClassAfter({ reliability: fallback(keyless) }), 'unknown_outcome');
    assert.equal(errorClassAfter({ reliability: fallback(rest) }), 'permanent');
    assert.equal(errorClassAfter({ executor: keyless, tier: 'read_only' }), 'permanent');
    assert.equal(errorClassAfter({ executor: keyless }, 'shadow'), 'permanent');
    assert.equal(errorClassAfter({ executor: { kind: 'noop', output: null } }), 'permanent');
    for (const method of ['GET', 'HEAD'] as const)
      assert.equal(errorClassAfter({ executor: { ...keyless, method } as Executor }), 'permanent');
    const stranger = { kind: 'mystery' } as unknown as Executor;
    assert.equal(errorClassAfter({ executor: stranger }), 'unknown_outcome');
  });
  it('that does not fit its schema is a failure that says where', () => {
    const errors = [{ pointer: '/id', message: 'must be a number' }];
    const strict: typeof kit = {
      ...kit,
      validate: (schema, value) =>
        'output' in schema ? { status: 'invalid', errors } : { status: 'valid', value },
    };
    const of = plan([
      state('a', [transition('go', 'b', { executor: rest, outputSchema: { output: true } })]),
    ]);
    const walk = begin(of, {}, agent, strict);
    walk.submit(agent, 'go');
    assert.deepEqual(answered(walk, { id: 'x' }), ['a', 0, 'EXECUTOR_FAILED']);
    assert.ok(JSON.stringify(walk.last.effects).includes('/id must be a number'));
  });
  it('leaves its evidence, and the kind that its step names', () => {
    const walk = executing({ evidence: 'tests_passed', tool: 't', tier: 'reversible' });
    walk.outcome({ evidence: ['rest_call'] } as object);
    assert.deepEqual(
      walk.run.evidence.map(({ kind, by, state, stay }) => [kind, by, state, stay]),
      [
        ['rest_call', null, 'a', 1],
        ['tests_passed', null, 'a', 1],
      ],
    );
    const entering = begin(plan([state('a', [transition('go', 'a')], onEnter({ evidence: 'scanned' }))]));
    entering.outcome();
    assert.deepEqual(
      entering.run.evidence.map(({ kind }) => kind),
      ['scanned'],
    );
  });
  it('takes the first branch whose guard passes, else the target', () => {
    const ended = (verdict: string): unknown[] => {
      const when = expr(path('context', 'verdict'), '==', literal('deep'));
      const walk = begin(
        plan([
          state('a', [
            transition('go', 'b', {
              executor: rest,
              output: [{ key: 'verdict', spec: { kind: 'set', value: literal(verdict) } }],
              branches: [{ when, target: 'c' }],
            }),
          ]),
          state('b'),
          state('c'),
        ]),
      );
      walk.submit(agent, 'go');
      return [walk.outcome().state.state, types(walk.last).includes('transition.branched')];
    };
    assert.deepEqual(ended('deep'), ['c', true]);
    assert.deepEqual(ended('shallow'), ['b', false]);
  });
  it('that nests the context in itself is stopped before it is too deep to read', () => {
    const walk = begin(
      plan([
        state('a', [
          transition('nest', 'a', {
            executor: rest,
            output: [{ key: 'c', spec: { kind: 'set', value: { ...(path('context') as object) } as never } }],
          }),
        ]),
      ]),
    );
    let said = walk.last;
    for (let times = 0; times < 300 && answerOf(said)?.status !== 'refused'; times += 1) {
      said = walk.submit(agent, 'nest');
      if (walk.run.executing !== null) walk.outcome();
    }
    assert.deepEqual([answerOf(said)?.code, walk.run.executing], ['RUN_FULL', null]);
    assert.match(JSON.stringify(answerOf(said)), /nested deeper/);
  });
  it('of a step that calls nothing is its mapping and its evidence', () => {
    const note = path('arguments', 'note');
    for (const executor of [null, { kind: 'human', roles: [], queue: null } as unknown as Executor]) {
      const walk = walkOf({
        executor,
        evidence: 'noted',
        output: [{ key: 'note', spec: { kind: 'set', value: note } }],
      });
      walk.submit(agent, 'go', { note: 'x' });
      const decider = principal('ann', 'human', { permissions: ['approval.decide'] });
      if (executor !== null) approve(walk, decider);
      assert.deepEqual([walk.run.state, walk.run.context['note']], ['b', 'x']);
      assert.ok(walk.run.evidence.some(({ kind }) => kind === 'noted'));
    }
    const large = walkOf({ output: [{ key: 'c', spec: { kind: 'set', value: note } }] });
    assert.equal(answerOf(large.submit(agent, 'go', { note: 'x'.repeat(600_000) }))?.code, 'RUN_FULL');
    assert.deepEqual([large.run.state, large.run.problem], ['a', null]);
  });
  it('of a step that the plan has not is for a person to look at', () => {
    for (const walk of [
      executing(),
      begin(plan([state('a', [transition('go', 'b')], onEnter()), state('b')])),
    ]) {
      walk.run = { ...walk.run, state: 'nowhere' };
      walk.outcome();
      assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
      assert.equal(walk.run.waitingAnswer, null);
      // The retry finds no such step either, and the run waits for an operator as before.
      operate(walk, 'retry');
      assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'NO_ELIGIBLE_TRANSITION']);
    }
  });
});

describe('a step whose mapping writes more than a context takes', () => {
  const output = (...segments: string[]) => ({ ...path('context', ...segments), scope: 'output' }) as Operand;
  const large = 'x'.repeat(600_000);
  const writes = (...specs: Mapping['spec'][]): Fields => ({
    executor: rest,
    output: specs.map((spec, index) => ({ key: `k${index}`, spec })),
  });
  const copies = writes({ kind: 'set', value: path('arguments', 'note') });

  it('is refused before anything is called, where no answer could make it less', () => {
    const joined = { kind: 'concat', operands: [output('a'), path('arguments', 'note')] } as const;
    for (const fields of [copies, writes(joined), { ...copies, gate: gate() }]) {
      const walk = walkOf(fields);
      const said = walk.submit(agent, 'go', { note: large });
      assert.equal(answerOf(said)?.code, 'RUN_FULL');
      assert.deepEqual([walk.run.executing, walk.run.approvals, walk.run.problem], [null, [], null]);
      assert.ok(types(said).includes('transition.rejected'));
    }
  });
  it('is asked about as if the answer were the least, so that none is refused that would fit', () => {
    const sum = { kind: 'add', operands: [output('n'), literal(1)] } as const;
    const own = { kind: 'add', operands: [literal(1), literal(1)] } as const;
    const answer = { kind: 'concat', operands: [output('a'), path('arguments', 'note')] } as const;
    const walk = walkOf(
      writes({ kind: 'set', value: output('a') }, { kind: 'set', value: literal(1) }, sum, own, answer),
    );
    walk.submit(agent, 'go', { note: 'x' });
    walk.outcome({ output: { a: 'b', n: 2 } });
    assert.deepEqual(walk.run.context, { k0: 'b', k1: 1, k2: 3, k3: 2, k4: 'bx' });
  });
  it('is not begun after its approval where the context has grown meanwhile', () => {
    const keep = transition('keep', 'a', {
      output: [{ key: 'k', spec: { kind: 'set', value: path('arguments', 'note') } }],
    });
    const walk = begin(
      plan([state('a', [transition('go', 'b', { ...copies, gate: gate() }), keep]), state('b')]),
    );
    const half = large.slice(0, 300_000);
    walk.submit(agent, 'go', { note: half });
    walk.submit(agent, 'keep', { note: half });
    walk.decide(
      principal('fay', 'human', { roles: ['finance.controller'] }),
      walk.run.approvals[0]?.id ?? '',
      'approve',
    );
    assert.deepEqual([walk.run.executing, walk.last.actions.at(-1)?.error?.code], [null, 'RUN_FULL']);
  });
  it('has a state wait for an operator whose onEnter would do so, and nothing is called', () => {
    const enters = onEnter({ output: [{ key: 'k', spec: { kind: 'set', value: path('input', 'note') } }] });
    const walk = begin(plan([state('a', [transition('go', 'b')], enters), state('b')]), { note: large });
    assert.deepEqual(
      [walk.run.executing, walk.run.status, walk.run.problem?.code],
      [null, 'stuck', 'RUN_FULL'],
    );
    assert.deepEqual(walk.run.stuckOn, { kind: 'onEnter', until: 'never' });
  });
  it('keeps its success where its answer alone tells, and no retry and no submit does it again', () => {
    const answered = writes({ kind: 'set', value: output('a') });
    const entered = onEnter({ output: answered.output ?? [] });
    for (const walk of [
      walkOf(answered),
      walkOf({ ...answered, actor: 'human' }),
      begin(plan([state('a', [transition('go', 'b')], entered), state('b')])),
    ]) {
      if (walk.run.executing === null) walk.submit(principal('ann'), 'go');
      walk.outcome({ output: { a: large } });
      assert.equal(walk.last.actions.at(-1)?.status, 'executed');
      const before = walk.run;
      assert.deepEqual([before.status, before.problem?.code], ['stuck', 'STATE_TOO_LARGE']);
      // The same holds of a run that an earlier engine made stuck, and of a run that was given up since.
      const stored: Partial<RunState>[] = [
        {},
        { stuckOn: { kind: 'chain' } },
        { problem: { code: 'STEP_FAILED', message: 'no' } },
        { problem: null },
      ];
      for (const fields of stored) {
        walk.run = { ...before, ...fields };
        assert.equal(answerOf(operate(walk, 'retry'))?.code, 'RUN_STUCK');
        assert.deepEqual([walk.run.executing, walk.run.state], [null, 'a']);
        assert.equal(answerOf(walk.submit(principal('ann'), 'go'))?.code, 'RUN_STUCK');
      }
      operate(walk, 'cancel');
      assert.equal(walk.run.status, 'cancelled');
    }
  });
  it('and calls nothing is for an operator too, where it is a path into an answer that makes it too large', () => {
    // Two bytes are left, and the null that no answer leaves takes four.
    const filled = 512 * 1024 - '{"c":"","k0":0}'.length;
    const walk = begin(
      plan(
        [
          state('a', [
            transition('go', 'b', { ...writes({ kind: 'set', value: output('a') }), executor: null }),
          ]),
          state('b'),
        ],
        {
          initialContext: { c: 'x'.repeat(filled) },
        },
      ),
    );
    walk.submit(agent, 'go');
    assert.deepEqual(walk.run.stuckOn, { kind: 'done', transition: 'go' });
  });
});

describe('what comes while an effect is under way', () => {
  it('a cancel waits for its outcome, which is recorded first', () => {
    const walk = executing();
    assert.equal(answerOf(operate(walk, 'cancel'))?.status, 'accepted');
    assert.equal(walk.run.status, 'running');
    walk.outcome();
    assert.deepEqual([walk.run.status, walk.run.state], ['completed', 'b']);
    const staying = executing({ target: 'a' });
    operate(staying, 'cancel');
    staying.outcome();
    assert.deepEqual([staying.run.status, staying.run.version], ['cancelled', 1]);
    assert.deepEqual(staying.last.trace.at(-1)?.actor.id, 'ops');
  });
  it("a run's deadline waits for its outcome", () => {
    const walk = executing({ target: 'a' });
    walk.send({ kind: 'timeout', time });
    assert.deepEqual([walk.run.status, walk.run.timeoutDue], ['running', true]);
    walk.outcome();
    assert.deepEqual([walk.run.status, walk.run.version], ['timed_out', 2]);
  });
  it('an approval waits for its outcome, and then starts', () => {
    const of = plan([
      state('a', [
        transition('slow', 'a', { executor: rest }),
        transition('pay', 'b', { executor: rest, gate: gate() }),
      ]),
      state('b'),
    ]);
    const walk = begin(of);
    walk.submit(agent, 'pay');
    walk.submit(agent, 'slow');
    approve(walk);
    assert.equal(walk.run.executing?.action.transition, 'slow');
    walk.outcome();
    assert.equal(walk.run.executing?.action.transition, 'pay');
  });
});

describe("a run's deadline", () => {
  const of = (target: string | null) =>
    begin(
      plan([state('a', [transition('go', 'a')]), state('late')], {
        timeoutMs: 1,
        onTimeout: target === null ? null : { target },
      }),
    );
  it('ends it, or moves it to its target, where a terminal state closes it timed out', () => {
    for (const target of [null, 'late']) {
      const walk = of(target);
      walk.send({ kind: 'timeout', time });
      assert.deepEqual([walk.run.status, walk.run.version], ['timed_out', 1]);
      assert.ok(types(walk.last).includes('timeout.fired'));
      const after = walk.run;
      walk.send({ kind: 'timeout', time });
      assert.deepEqual([walk.run, walk.last.trace], [after, []]);
    }
  });
  it('moves it to a state in which it may go on', () => {
    const walk = of('a');
    walk.send({ kind: 'timeout', time });
    assert.deepEqual([walk.run.status, walk.run.version], ['running', 1]);
  });
});

describe('an operator', () => {
  it('has the effect done again whose outcome nobody knows, under the same key', () => {
    const walk = executing();
    const first = walk.run.executing?.action;
    walk.outcome(lost);
    operate(walk, 'retry');
    const second = walk.run.executing?.action;
    assert.equal(second?.idempotencyKey, first?.idempotencyKey);
    assert.notEqual(second?.id, first?.id);
    walk.outcome();
    assert.equal(walk.run.state, 'b');
  });
  it('has a state entered again whose onEnter failed or is unknown', () => {
    for (const result of [lost, broken]) {
      const walk = begin(plan([state('a', [transition('go', 'b')], onEnter()), state('b')]));
      const key = walk.run.executing?.action.idempotencyKey;
      walk.outcome(result);
      assert.deepEqual([walk.run.status, walk.run.version], ['stuck', 0]);
      operate(walk, 'retry');
      assert.equal(walk.run.executing?.action.idempotencyKey, key);
      walk.outcome();
      assert.deepEqual([walk.run.status, walk.run.version], ['running', 1]);
    }
  });
  it('has a chain go on that an effect of its own stopped', () => {
    const step = transition('step', 'b', { actor: 'deterministic', executor: rest });
    const walk = begin(plan([state('a', [step]), state('b')]));
    walk.outcome(broken);
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'EXECUTOR_FAILED']);
    operate(walk, 'retry');
    walk.outcome();
    assert.equal(walk.run.status, 'completed');
  });
  it('has done again only the problem that stood when the retry was asked', () => {
    const retryAbout = (walk: Walk, about: string | null): string | undefined =>
      answerOf(walk.send({ kind: 'message', time, message: message(operator, { kind: 'retry', about }) }))
        ?.code;
    for (const again of [lost, broken]) {
      const walk = begin(plan([state('a', [transition('go', 'b')], onEnter()), state('b')]));
      assert.equal(retryAbout(walk, null), 'NOT_STUCK');
      walk.outcome(lost);
      const about = walk.run.stuckAt ?? assert.fail();
      assert.equal(retryAbout(walk, null), 'NOT_STUCK', 'it was asked before there was a problem');
      // A refusal of something else does not change the problem.
      walk.submit(agent, 'go');
      assert.equal(retryAbout(walk, about), undefined);
      walk.outcome(again);
      const said = retryAbout(walk, about);
      assert.deepEqual([said, walk.run.executing, walk.run.status], ['STALE_VERSION', null, 'stuck']);
      assert.ok(types(walk.last).includes('transition.rejected'));
      walk.run = { ...walk.run, problem: null };
      assert.equal(retryAbout(walk, about), 'STALE_VERSION');
      assert.equal(retryAbout(walk, walk.run.stuckAt ?? ''), undefined);
    }
  });
  it('may retry and cancel what is stuck for reasons that a store has lost', () => {
    const walk = walkOf();
    walk.run = { ...walk.run, status: 'stuck' };
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'RUN_STUCK');
    operate(walk, 'retry');
    assert.equal(walk.run.status, 'running');
    walk.run = { ...walk.run, status: 'stuck' };
    walk.send({ kind: 'message', time, message: message(operator, { kind: 'retry', about: '' }) });
    assert.equal(walk.run.status, 'running');
    walk.run = { ...walk.run, status: 'stuck' };
    operate(walk, 'cancel');
    assert.equal(walk.run.status, 'cancelled');
  });
});

describe('a state that nobody can leave', () => {
  it('says of each transition why', () => {
    const never = expr(literal(1), '==', literal(2));
    const walk = begin(
      plan([
        state('a', [
          transition('x', 'a', { guards: [{ kind: 'role', role: 'r' }, never] }),
          transition('y', 'a', { guards: [{ kind: 'not', guard: { kind: 'anyOf', guards: [] } }] }),
        ]),
      ]),
    );
    const said = walk.run.problem?.message ?? '';
    assert.equal(walk.run.problem?.code, 'NO_ELIGIBLE_TRANSITION');
    for (const part of ['`x`: `as written` is false', '`y`: an empty list of guards'])
      assert.ok(said.includes(part), said);
  });
  it('says so where it has no transition, or is none', () => {
    const problemOf = (of: State[], initialState = 'a') => begin(plan(of, { initialState })).run.problem;
    assert.ok(problemOf([state('a', [], { terminal: false })])?.message.includes('it has no transition'));
    assert.ok(problemOf([state('a')], 'b')?.message.includes('no state `b`'));
  });
});

describe('a run that ends', () => {
  it('says that it failed where its last state is one of failure', () => {
    const walk = begin(plan([state('a', [transition('go', 'b')]), state('b', [], { outcome: 'failure' })]));
    walk.submit(agent, 'go');
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['failed', 'OUTCOME_FAILURE']);
  });
});
