import assert from 'node:assert/strict';
import { buildCall } from '../../src/executors/index.js';
import type { RestExecutor } from '../../src/executors/rest/types.js';
import type { Executor, Guard, Mapping, Operand, Path } from '../../src/engine/plan.js';
import type { Outcome } from '../../src/engine/state.js';
import { errorClasses } from '../../src/model/contract/errors.js';
import { expr, keyless, literal, onEnter, path, plan, state, transition } from '../engine/build.js';
import { begin, time, type Walk } from '../engine/walk.js';
import { failClosed } from './support/cells.js';
import { answers, facing, isStuck, odd, recorded } from './support/refused.js';
import { agent } from '../engine/people.js';

// What an executor answered, what is written of it, and where the run goes then.

function executing(output: readonly Mapping[] = [], fields: object = {}): Walk {
  const walk = facing({ executor: keyless, output, ...fields });
  walk.submit(agent, 'go');
  return walk;
}

/** Failed: state, version, context and evidence are what they were, and whoever waits is told. */
function failsWith(result: Partial<Outcome> & object, status: 'failed' | 'unknown' = 'failed'): Walk {
  const walk = executing();
  const { state: before, version, context, evidence } = walk.run;
  const decision = walk.outcome(result);
  const { run } = walk;
  assert.deepEqual([run.state, run.version, run.context, run.evidence], [before, version, context, evidence]);
  assert.deepEqual(
    answers(decision).map((one) => [one['status'], one['code']]),
    [['refused', 'EXECUTOR_FAILED']],
  );
  assert.deepEqual(
    decision.actions.map((one) => one.status),
    [status],
  );
  return walk;
}

failClosed('outcome', {
  error: () => {
    for (const errorClass of errorClasses) {
      const unknown = errorClass === 'unknown_outcome';
      const walk = failsWith({ status: 'failed', errorClass, message: 'no' }, unknown ? 'unknown' : 'failed');
      if (unknown) isStuck(walk, 'EXECUTOR_UNKNOWN');
    }
  },
  timeout: () => isStuck(failsWith({ status: 'unknown', message: 'lost' }, 'unknown'), 'EXECUTOR_UNKNOWN'),
  missing: () => {
    const walk = executing();
    const before = walk.run;
    const fields = { output: {}, response: {}, evidence: ['x'], attempt: 1, outputRef: null };
    const result: Outcome = { status: 'succeeded', ...fields };
    const decision = walk.send({ kind: 'outcome', time, action: 'act_of_nobody', result });
    assert.deepEqual([walk.run, decision.effects, decision.trace], [before, [], []]);
  },
  malformed: () => {
    const walk = executing();
    walk.outcome({ status: 'failed', errorClass: odd('shrug'), message: 'no' });
    assert.deepEqual([walk.run.state, walk.run.version], ['a', 0]);
  },
});

failClosed('onEnter', {
  error: () => {
    const walk = entering(keyless);
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as object);
    isStuck(walk, 'ON_ENTER_FAILED');
  },
  timeout: () => {
    const walk = entering(keyless);
    walk.outcome({ status: 'failed', errorClass: 'timeout', message: 'no' } as object);
    isStuck(walk, 'ON_ENTER_FAILED');
  },
  missing: () => {
    const walk = entering(keyless);
    walk.outcome({ status: 'unknown', message: 'lost' } as object);
    isStuck(walk, 'EXECUTOR_UNKNOWN');
  },
});

function entering(executor: Executor): Walk {
  return begin(plan([state('a', [transition('go', 'b')], onEnter({ executor })), state('b')]));
}

const output = (name: string): Operand => ({
  ...{ kind: 'path', scope: 'output', segments: [name], optional: false },
  text: `$.output.${name}`,
});
const maps = (spec: Mapping['spec']): readonly Mapping[] => [{ key: 'n', spec }];
const set = (value: Operand): Mapping['spec'] => ({ kind: 'set', value });
const arithmetic = (kind: 'add' | 'divide', ...operands: Operand[]): Mapping['spec'] => ({ kind, operands });

/** The mapping writes null, and a guard that reads it says no. */
function writesNull(spec: Mapping['spec'], result: object, unresolved: number): void {
  const behind: Guard = expr(path('context', 'n'), '>', literal(0));
  const of = plan([
    state('a', [transition('go', 'b', { executor: keyless, output: maps(spec) })]),
    state('b', [transition('on', 'c', { guards: [behind] }), transition('off', 'c')]),
    state('c'),
  ]);
  const walk = begin(of);
  walk.submit(agent, 'go');
  const decision = walk.outcome({ output: result } as object);
  assert.equal(recorded(decision, 'mapping.unresolved').length, unresolved);
  assert.equal(walk.run.context['n'], null);
  assert.deepEqual(
    answers(walk.submit(agent, 'on')).map((one) => one['code']),
    ['GUARD_REJECTED'],
  );
}

failClosed('mapping', {
  error: () => writesNull(arithmetic('divide', literal(1), output('n')), { n: 0 }, 0),
  missing: () => writesNull(set(output('n')), { other: 1 }, 1),
  malformed: () => {
    writesNull(arithmetic('add', output('n'), literal(1)), { n: 'many' }, 0);
    writesNull(arithmetic('add', output('n')), { n: 1 }, 0);
  },
  empty: () => writesNull(set(output('n')), { n: null }, 0),
});

failClosed('context.size', {
  error: () => {
    const walk = executing(maps(set(output('n'))));
    walk.outcome({ output: { n: 'x'.repeat(600_000) } } as object);
    isStuck(walk, 'STATE_TOO_LARGE');
    assert.deepEqual([walk.run.context, walk.run.state], [{}, 'a']);
    const fields = { executor: keyless, output: maps(set(path('arguments', 'n'))) };
    const early = begin(plan([state('a', [transition('go', 'b', fields)]), state('b')]));
    const said = early.submit(agent, 'go', { n: 'x'.repeat(600_000) });
    assert.equal(answers(said)[0]?.['code'], 'RUN_FULL');
    assert.deepEqual([early.run.executing, early.run.context, early.run.state], [null, {}, 'a']);
    const own = path('context', 'n');
    const twice = { actor: 'deterministic', output: maps({ kind: 'concat', operands: [own, own] }) } as const;
    const states = [state('a', [transition('go', 'b', { output: fields.output })]), state('c')];
    const later = begin(plan([...states, state('b', [transition('on', 'c', twice)])]));
    assert.equal(answers(later.submit(agent, 'go', { n: 'x'.repeat(300_000) }))[0]?.['code'], 'RUN_FULL');
    assert.deepEqual([later.run.context, later.run.state, later.run.status], [{}, 'a', 'running']);
  },
});

/** The branch is not taken: the run goes to the transition's own target. */
function notBranched(when: Guard): void {
  const fields = { target: 'careful', branches: [{ when, target: 'b' }] };
  const careful = state('careful', [transition('x', 'b')]);
  const walk = begin(plan([state('a', [transition('go', 'careful', fields)]), state('b'), careful]));
  const decision = walk.submit(agent, 'go');
  assert.equal(walk.run.state, 'careful');
  assert.equal(recorded(decision, 'run.transitioned').length, 1);
}

failClosed('branch', {
  error: () => notBranched(expr(literal('1'), '<', literal(2))),
  timeout: () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const branches = Array.from({ length: 20 }, () => ({
      when: { kind: 'not', guard: same } as const,
      target: 'a',
    }));
    const walk = begin(
      plan([state('a', [transition('go', 'b', { branches })]), state('b')], {
        initialContext: { a: list, b: [...list] },
      }),
    );
    walk.submit(agent, 'go');
    isStuck(walk, 'CHAIN_TOO_LONG');
    assert.equal(walk.run.state, 'a');
  },
  missing: () => notBranched(expr(path('context', 'n'), '<', literal(2))),
  malformed: () => notBranched(odd({ kind: 'weather' })),
  empty: () => notBranched({ kind: 'allOf', guards: [] }),
});

failClosed('run.timeout', {
  timeout: () => {
    const walk = facing({});
    const decision = walk.send({ kind: 'timeout', time });
    assert.equal(walk.run.status, 'timed_out');
    assert.equal(recorded(decision, 'run.timed_out').length, 1);
    assert.equal(answers(walk.submit(agent, 'go'))[0]?.['code'], 'RUN_CLOSED');
  },
  missing: () => {
    const walk = facing({}, { onTimeout: { target: 'gone' } });
    walk.send({ kind: 'timeout', time });
    isStuck(walk, 'NO_ELIGIBLE_TRANSITION');
  },
});

const nowhere: Path = {
  ...{ kind: 'path', scope: 'arguments', segments: ['nope'] },
  optional: false,
  text: '$.arguments.nope',
};

/** Nothing is sent: the call is not built, and says which path did not resolve. */
function notBuilt(args: Record<string, string | null | object>): void {
  const scopes = { arguments: args as never, context: {}, input: {} };
  const executors: Executor[] = [
    { ...(keyless as RestExecutor), path: { kind: 'text', parts: ['/a/', nowhere] } },
    {
      kind: 'cli',
      connection: 'c',
      args: [{ kind: 'text', parts: ['--x=', nowhere] }],
      stdin: null,
      idempotencyKey: false,
    },
    {
      kind: 'mcp',
      connection: 'c',
      tool: 't',
      map: { kind: 'object', entries: [{ key: 'a', value: { kind: 'text', parts: [nowhere] } }] },
      idempotencyKey: false,
    },
  ];
  for (const executor of executors) {
    const built = buildCall(executor, scopes, 'transition');
    assert.ok(built.status === 'unresolved' && built.message.includes('$.arguments.nope'), executor.kind);
  }
}

failClosed('template', {
  missing: () => notBuilt({}),
  malformed: () => notBuilt({ nope: { an: 'object' } }),
  empty: () => notBuilt({ nope: null }),
});
