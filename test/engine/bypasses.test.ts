import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { buildCall } from '../../src/executors/index.js';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
import { parseComparison } from '../../src/engine/expression/expression.js';
import { evaluateGuard } from '../../src/engine/guards.js';
import { guardContext } from '../../src/engine/links.js';
import type { Executor, Guard, Plan } from '../../src/engine/plan.js';
import { hasTest } from '../fail-closed/support/registered.js';
import { loadShipped, withTransition } from '../policy/documents.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from './build.js';
import { agent, ann, ben, principal } from './people.js';
import { answerOf, approve, begin, lastApproval, type Walk } from './walk.js';

// Ways in by which governance layers are known to have failed open, each with the test that it is shut here.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

/** A test of a bypass, by its id: the list below wants every bypass to have a test. */
const shown = new Set<string>();
function bypass(id: string, promise: string, show: () => void): void {
  shown.add(id);
  it(`${id}: ${promise}`, show);
}

const facing = (fields: Fields, of: Partial<Plan> = {}): Walk =>
  begin(plan([state('a', [transition('go', 'b', fields), transition('stay', 'a')]), state('b')], of));
const verdict = (guard: Guard): string =>
  evaluateGuard(guard, guardContext(facing({}).run, agent, {})).verdict;
const refused = (text: string): readonly string[] => {
  const checked = checkFlowText(text, { catalog });
  return checked.status === 'invalid' ? checked.errors.map((finding) => finding.code) : [];
};
const executed = (walk: Walk): number =>
  walk.history.flatMap((result) => result.effects).filter((effect) => effect.kind === 'execute').length;
const unreadable = (text: string): void => assert.equal(parseComparison(text).status, 'invalid', text);

describe('no way in by what a policy says', () => {
  bypass('unknown-key', 'a misspelt `gaurds:` does not load, so it ungates nothing', () => {
    assert.ok(refused(withTransition('gaurds: [{ kind: role, role: r }]')).includes('UNKNOWN_KEY'));
  });
  bypass('malformed-retry', 'a malformed retry block does not load, and is not taken for none', () => {
    const retry = (block: string): readonly string[] =>
      refused(withTransition(`executor: { kind: noop, output: {}, reliability: { retry: ${block} } }`));
    for (const block of ['{ maxAttempt: 2 }', '{ maxAttempts: many }', 'often', '[]'])
      assert.ok(retry(block).length > 0, block);
  });
  bypass('parenthesised-comparison', 'a comparison in parentheses does not load', () => {
    unreadable('($.context.a == 1)');
    unreadable('($.context.a) == (1)');
  });
  bypass('unquoted-word', 'an unquoted word does not load', () => {
    unreadable('$.context.status != approved');
    unreadable('approved != $.context.status');
  });
  bypass('chained-comparison', 'more than one comparison does not load', () => {
    unreadable('$.context.a != 1 && true');
    unreadable('$.context.a == 1 || $.context.b == 2');
  });
  bypass('not-unknown', 'an unknown guard is an error, under `not` too', () => {
    const odd = { kind: 'moon_phase' } as unknown as Guard;
    assert.deepEqual([verdict(odd), verdict({ kind: 'not', guard: odd })], ['error', 'error']);
  });
  bypass('empty-requires', 'evidence that requires nothing is an error', () => {
    assert.equal(verdict({ kind: 'evidence', requires: [] }), 'error');
    assert.ok(refused(withTransition('guards: [{ kind: evidence, requires: [] }]')).length > 0);
    for (const count of [0, -1, 0.5, null])
      assert.equal(
        verdict({ kind: 'evidence', requires: [{ kind: 'x', count: count as number, distinct: false }] }),
        'fail',
      );
  });
  bypass(
    'missing-operand',
    'a string operator without an operand is an error, and does not compare with nothing',
    () => {
      const missing = path('context', 'missing');
      for (const operator of ['starts_with', 'contains'] as const) {
        assert.equal(verdict(expr(missing, operator, literal(''))), 'error');
        assert.equal(verdict({ kind: 'not', guard: expr(literal('a'), operator, missing) }), 'error');
      }
      unreadable('$.context.a starts_with');
    },
  );
  bypass('deny-rule-error', 'an error in a rule that denies denies', () => {
    const errs = expr(path('context', 'missing'), '>', literal(1));
    assert.equal(verdict({ kind: 'not', guard: errs }), 'error');
    const walk = facing({ guards: [{ kind: 'not', guard: errs }] });
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'GUARD_REJECTED');
    const gated = facing({ gate: gate({ on: errs }), executor: rest });
    assert.equal(answerOf(gated.submit(agent, 'go'))?.status, 'pending');
  });
  bypass('argument-rule', 'a rule on arguments meets the arguments as they were sent', () => {
    const small: Guard = expr(path('arguments', 'amount'), '<', literal(50));
    const walk = facing({ guards: [small] });
    for (const args of [{ amount: 60 }, { amount: '10' }, { Amount: 10 }, {}, { arguments: { amount: 10 } }])
      assert.equal(answerOf(walk.submit(agent, 'go', args))?.code, 'GUARD_REJECTED');
    assert.equal(answerOf(walk.submit(agent, 'go', { amount: 10 }))?.status, 'executed');
  });
});

describe('no way in by how a run moves', () => {
  bypass('lone-guarded-step', 'a single guarded step of the runtime does not fire without its guard', () => {
    const guards = [expr(path('context', 'ok'), '==', literal(true))];
    const of = plan([state('a', [transition('go', 'b', { actor: 'deterministic', guards })]), state('b')]);
    assert.deepEqual([begin(of).run.state, begin(of).run.problem?.code], ['a', 'CHAIN_NO_MATCH']);
  });
  bypass('terminal-submit', 'a terminal state takes nothing by name', () => {
    const walk = facing({});
    walk.submit(agent, 'go');
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'RUN_CLOSED');
    assert.equal(answerOf(walk.submit(agent, 'stay'))?.code, 'RUN_CLOSED');
  });
  bypass('concurrent-submits', 'of two submits at once one runs the executor', () => {
    const walk = facing({ executor: rest });
    walk.submit(agent, 'go');
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'RUN_BUSY');
    assert.equal(executed(walk), 1);
  });
  bypass('resubmission-key', 'a resubmission after a failure keeps its idempotency key', () => {
    const walk = facing({ executor: rest });
    const keys: (string | undefined)[] = [];
    for (let attempt = 0; attempt < 2; attempt += 1) {
      walk.submit(agent, 'go', { amount: 5 });
      keys.push(walk.run.executing?.action.idempotencyKey);
      walk.outcome({ status: 'failed', errorClass: 'transient', message: 'no' } as object);
    }
    assert.ok(keys[0] !== undefined && keys[0] === keys[1]);
  });
  bypass(
    'failed-entry',
    'a failed entry action leaves the run stuck where an operator can retry, at its start too',
    () => {
      const walk = begin(plan([state('a', [transition('go', 'b')], onEnter()), state('b')]));
      assert.equal(answerOf(walk.history[0] ?? assert.fail())?.status, 'accepted');
      walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as object);
      assert.deepEqual([walk.run.status, walk.run.stuckOn], ['stuck', { kind: 'onEnter' }]);
    },
  );
  bypass('double-evidence', 'a chain records the evidence of a step once', () => {
    const of = plan([
      state('a', [transition('go', 'b', { executor: rest, evidence: 'done' })]),
      state('b', [transition('on', 'c', { actor: 'deterministic' })]),
      state('c', [transition('end', 'd')]),
      state('d'),
    ]);
    const walk = begin(of);
    walk.submit(agent, 'go');
    walk.outcome({ evidence: ['rest_call'] } as object);
    assert.deepEqual(
      walk.run.evidence.map((item) => item.kind),
      ['rest_call', 'done'],
    );
  });
});

describe('no way in by how a call is made', () => {
  const scopes = { arguments: { id: 'x/admin?all=1#', other: 'y' }, context: { id: 'known' }, input: {} };
  const to = (...parts: readonly unknown[]): Executor =>
    ({ ...rest, path: { kind: 'text', parts } }) as unknown as Executor;
  bypass('url-scope', 'an argument never stands for a context value of the same name', () => {
    const built = buildCall(to('/users/', path('context', 'id')), scopes, 'transition');
    assert.ok(JSON.stringify(built).includes('/users/known'), JSON.stringify(built));
  });
  bypass('url-encoding', 'what fills a URL is encoded', () => {
    const built = JSON.stringify(buildCall(to('/users/', path('arguments', 'id')), scopes, 'transition'));
    const up = { ...scopes, arguments: { id: '..' } };
    assert.equal(buildCall(to('/users/', path('arguments', 'id')), up, 'transition').status, 'unresolved');
    assert.ok(built.includes('/users/x%2Fadmin%3Fall%3D1%23'), built);
  });
  bypass(
    'partial-map',
    'an argument map that does not resolve sends nothing, and never the raw arguments',
    () => {
      const map = {
        kind: 'object',
        entries: [
          { key: 'n', value: { kind: 'literal', value: 5 } },
          { key: 'who', value: path('context', 'nobody') },
        ],
      } as const;
      const call = { ...{ kind: 'mcp', connection: 'c', tool: 't', idempotencyKey: false }, map } as Executor;
      assert.equal(buildCall(call, scopes, 'transition').status, 'unresolved');
      const whole = { ...call, map: { ...map, entries: map.entries.slice(0, 1) } } as Executor;
      const built = JSON.stringify(buildCall(whole, scopes, 'transition'));
      assert.ok(!built.includes('admin') && built.includes('"n":5'), built);
    },
  );
});

describe('no way in by an approval', () => {
  const parked = (fields: Parameters<typeof gate>[0] = {}): Walk => {
    const walk = facing({ gate: gate(fields), executor: rest });
    walk.submit(agent, 'go', { amount: 1 });
    return walk;
  };
  bypass('requests-counted', 'requests are no approvals, however many there are', () => {
    const needs: Guard = {
      kind: 'evidence',
      requires: [{ kind: 'human_request', count: 1, distinct: true }],
    };
    const of = plan([
      state('a', [transition('ask', 'b', { gate: gate() }), transition('go', 'b', { guards: [needs] })]),
      state('b'),
    ]);
    const walk = begin(of);
    for (const n of [1, 2, 3]) walk.submit(agent, 'ask', { n });
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'GUARD_REJECTED');
  });
  bypass('same-person-twice', 'the same person twice is one person', () => {
    const walk = parked({ quorum: { count: 2, perRole: [] } });
    approve(walk, ann);
    assert.equal(answerOf(approve(walk, ann))?.code, 'ALREADY_DECIDED');
    assert.equal(executed(walk), 0);
    approve(walk, ben);
    assert.equal(executed(walk), 1);
  });
  bypass('bound-to-arguments', 'an approval lets through the arguments that it showed, and no others', () => {
    const walk = parked();
    approve(walk, ann);
    assert.deepEqual(walk.run.executing?.action.arguments, { amount: 1 });
    walk.outcome({ status: 'failed', errorClass: 'transient', message: 'no' } as object);
    assert.equal(answerOf(walk.submit(agent, 'go', { amount: 2 }))?.status, 'pending');
    assert.equal(executed(walk), 1);
  });
  bypass('edited-action', 'what was changed after it was approved does not run', () => {
    const walk = parked();
    for (const edit of [{ arguments: { amount: 9 } }, { tool: 'other' }, { transition: 'stay' }]) {
      const of = parked();
      of.run = {
        ...of.run,
        approvals: of.run.approvals.map((approval) => ({
          ...approval,
          action: { ...approval.action, ...edit },
        })),
      };
      approve(of, ann);
      assert.deepEqual([executed(of), of.run.state], [0, 'a']);
    }
    const other = walk.decide(ann, lastApproval(walk), 'approve', `sha256:${'0'.repeat(64)}`);
    assert.equal(answerOf(other)?.code, 'DIGEST_MISMATCH');
  });
  bypass(
    'self-approval',
    'who asked does not decide its own request, whether somebody else asks for the same, on no path',
    () => {
      const walk = facing({ gate: gate(), executor: rest });
      walk.submit(ann, 'go');
      walk.submit(ben, 'go');
      for (const [index, who] of [ann, ben].entries()) {
        const own = walk.run.approvals[index]?.id ?? '';
        assert.equal(answerOf(walk.decide(who, own, 'approve'))?.code, 'NOT_AN_APPROVER');
      }
      const human = facing({ executor: { kind: 'human', queue: null, roles: ['finance.controller'] } });
      human.submit(ann, 'go');
      assert.equal(answerOf(approve(human, ann))?.code, 'NOT_AN_APPROVER');
      assert.deepEqual([executed(walk), human.run.state], [0, 'a']);
    },
  );
  bypass('starter-approves', 'who may start may not therefore approve', () => {
    const walk = parked();
    const starter = principal('sam', 'human', { permissions: ['run.start', 'approval.decide'] });
    assert.equal(answerOf(approve(walk, starter))?.code, 'NOT_AN_APPROVER');
  });
  bypass('stale-timer', 'a timer of an approval that is decided resumes nothing', () => {
    const walk = parked();
    walk.decide(ann, lastApproval(walk), 'deny');
    walk.fire(lastApproval(walk));
    assert.deepEqual([executed(walk), walk.run.approvals[0]?.status], [0, 'denied']);
  });
});

/** Shown where servers run: the file, and the name of its test. */
const elsewhere: Readonly<Record<string, readonly [file: string, name: string]>> = {
  'concurrent-submits-at-once': [
    'test/promises/approvals/payment.test.ts',
    'runs one of two submits at once, and one run for one Idempotency-Key',
  ],
  'approval-counted-once': [
    'test/promises/approvals/payment.test.ts',
    'lets nobody decide who may not: agents, the requester, other roles, another digest',
  ],
  'audit-drops-events': [
    'test/audit/chain.test.ts',
    'twenty writers at once leave one gapless chain, in the order of the log',
  ],
  // `shadow` is what others call log only. An agent that is nested, or streams, has no other way in than a submit.
  'log-only-executes': [
    'test/promises/approvals/payment.test.ts',
    'in shadow is asked, approved and recorded as ever, and does nothing outside',
  ],
};

describe('every way in that is known', () => {
  const known = [
    ...['unknown-key', 'malformed-retry', 'parenthesised-comparison', 'unquoted-word', 'chained-comparison'],
    ...['not-unknown', 'empty-requires', 'missing-operand', 'lone-guarded-step', 'terminal-submit'],
    ...['requests-counted', 'same-person-twice', 'double-evidence', 'concurrent-submits', 'resubmission-key'],
    ...['url-scope', 'url-encoding', 'partial-map', 'failed-entry', 'deny-rule-error', 'argument-rule'],
    ...['bound-to-arguments', 'edited-action', 'self-approval', 'starter-approves', 'stale-timer'],
  ];
  it('has a test of its name', () => {
    assert.deepEqual([...shown].sort(), [...known].sort());
  });
  it('is shown with servers too, where it takes servers to show it', () => {
    for (const [id, [file, name]] of Object.entries(elsewhere)) assert.ok(hasTest(file, name), id);
  });
});
