import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../../src/model/values/canonical.js';
import type { Json, JsonObject } from '../../../src/model/values/json.js';
import { truncate } from '../../../src/model/values/text.js';
import { compare } from '../../../src/engine/expression/compare.js';
import { jsonBeginning } from '../../../src/engine/gates/shown.js';
import { links, readsOf, wayOn } from '../../../src/engine/index.js';
import type { Executor, Guard, Mapping, Path, Plan } from '../../../src/engine/plan.js';
import type { Kit } from '../../../src/engine/state.js';
import { runsOf } from '../../../testing/samples.js';
import { expr, gate, literal, path, plan, state, transition } from '../build.js';
import { agent, fay } from '../people.js';
import { begin, kit, operate } from '../walk.js';
import { json } from '../generate.js';

// How much of large values one event looks through: it may not be their size times the number of steps, guards or approvals.

/** A value that counts each reading of a part. */
function counted<T extends object>(value: T): { readonly value: T; readonly reads: () => number } {
  let reads = 0;
  const handler: ProxyHandler<T> = {
    get: (target, name, receiver): unknown => {
      reads += 1;
      return Reflect.get(target, name, receiver);
    },
    getOwnPropertyDescriptor: (target, name) => {
      reads += 1;
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
  };
  return { value: new Proxy(value, handler), reads: () => reads };
}

const many = 5_000;
const large = (): { readonly value: number[]; readonly reads: () => number } =>
  counted(Array.from({ length: many }, (_, index) => index));

const set = (key: string, value: Json): Mapping => ({
  key,
  spec: { kind: 'set', value: { kind: 'json', value } },
});
const copy = (key: string, from: string): Mapping => ({
  key,
  spec: { kind: 'set', value: path('context', from) },
});
const doubled = (key: string): Mapping => ({
  key,
  spec: { kind: 'concat', operands: [path('context', key), path('context', key)] },
});

/** A chain of so many steps over a context, and what each of them asks and writes. */
function chain(
  steps: number,
  initialContext: JsonObject,
  guards: readonly Guard[],
  output: readonly Mapping[],
): Plan {
  const states = Array.from({ length: steps }, (_, at) =>
    state(`s${at}`, [transition('next', `s${at + 1}`, { actor: 'deterministic', guards, output })]),
  );
  return plan([...states, state(`s${steps}`)], { initialContext, maxChainDepth: 500 });
}

function readsOfChain(steps: number, guards: readonly Guard[], output: readonly Mapping[]): number {
  const big = large();
  const walk = begin(chain(steps, { big: big.value, n: 1 }, guards, output));
  assert.equal(walk.run.status, 'completed', JSON.stringify(walk.run.problem));
  return big.reads();
}

describe('a chain', () => {
  it('does not look through its context at each step: not where it writes into it, nor where it writes nothing', () => {
    for (const output of [[], [set('n', 2), copy('again', 'big')]]) {
      const [short, long] = [readsOfChain(3, [], output), readsOfChain(400, [], output)];
      assert.equal(long, short);
    }
  });

  it('has of a large value that its guards read its size and digest on record, worked out once', () => {
    const guard = expr(path('context', 'big'), '!=', literal(null));
    const [short, long] = [readsOfChain(3, [guard], []), readsOfChain(300, [guard], [])];
    // Each step shows its beginning.
    assert.ok(long - short < 297 * 300, `${(long - short) / 297} a step`);
    const walk = begin(chain(1, { big: Array.from({ length: many }, () => 1) }, [guard], []));
    const [record] = walk.last.trace.filter(({ type }) => type === 'guard.evaluated');
    const big = walk.run.context['big'] ?? null;
    assert.deepEqual(record?.data['reads'], [
      { path: '$.context.big', bytes: canonical(big).length, digest: kit.digest(big) },
    ]);
  });

  it('is ended at a bound of what it makes and compares, with a reason, and goes on from there on retry', () => {
    const text = 'x'.repeat(100_000);
    const grows = chain(
      150,
      { text, other: '' },
      [],
      [{ key: 'other', spec: { kind: 'concat', operands: [path('context', 'text'), literal('y')] } }],
    );
    const walk = begin(grows);
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'CHAIN_TOO_LONG']);
    assert.match(String(walk.run.problem?.message), /read and written more than the 8388608 bytes/);
    const at = walk.run.state;
    operate(walk, 'retry');
    assert.notEqual(walk.run.state, at);
    assert.equal(walk.run.status, 'completed');
  });

  it('is ended at the same bound where its guards compare large values, or its context has very many names', () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const names = Object.fromEntries(list.slice(0, 20_000).map((_, n) => [`n${n}`, 1]));
    // Finding a name takes longer than going on to the next item.
    const named = (): JsonObject => Object.fromEntries(list.slice(0, 9_990).map((_, n) => [`n${n}`, 1]));
    for (const of of [
      chain(400, { a: list, b: [...list] }, [same], []),
      chain(12, { a: named(), b: named() }, [same], []),
      chain(400, names, [], [set('n', 2)]),
      chain(
        400,
        {},
        Array.from({ length: 20 }, () => expr(literal(1), '==', literal(1))),
        [],
      ),
    ])
      assert.equal(begin(of).run.problem?.code, 'CHAIN_TOO_LONG');
  });

  it('goes on by a retry where it is ended among the conditions of a state that are not too much by themselves', () => {
    const list = Array.from({ length: 50_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const states = Array.from({ length: 40 }, (_, at) =>
      state(`s${at}`, [
        transition('other', 'end', { actor: 'deterministic', guards: [{ kind: 'not', guard: same }] }),
        transition('next', at === 39 ? 'end' : `s${at + 1}`, { actor: 'deterministic', guards: [same] }),
      ]),
    );
    const walk = begin(plan([...states, state('end')], { initialContext: { a: list, b: [...list] } }));
    while (walk.run.status !== 'completed') {
      const at = walk.run.state;
      assert.match(walk.run.problem?.message ?? '', /read and written more than/);
      assert.match(wayOn(walk.run, null) ?? '', /a retry goes on from here/);
      operate(walk, 'retry');
      assert.notEqual(walk.run.state, at);
    }
  });

  it('is ended within a step that asks very much, and where it asks little at each of very many', () => {
    const asks = (count: number): Guard[] =>
      Array.from({ length: count }, () => expr(literal(1), '==', literal(1)));
    const wide = plan([
      state(
        'a',
        Array.from({ length: 6_000 }, (_, n) =>
          transition(`t${n}`, 'b', { actor: 'deterministic', guards: asks(1) }),
        ),
      ),
      state('b'),
    ]);
    for (const of of [chain(400, {}, asks(5), []), wide]) {
      const { run, last } = begin(of);
      assert.equal(run.problem?.code, 'CHAIN_TOO_LONG');
      assert.ok(last.trace.length < 2_500, `${last.trace.length} records`);
    }
  });

  it('is ended where one state alone compares too much: a retry is not what helps, and comes to the same', () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const first = Array.from({ length: 30 }, () => same);
    const inOne: Guard = { kind: 'allOf', guards: first };
    for (const guards of [first, [inOne]])
      for (const before of [0, 3]) {
        const states = Array.from({ length: before }, (_, at) =>
          state(`s${at}`, [transition('next', `s${at + 1}`, { actor: 'deterministic' })]),
        );
        const last = state(`s${before}`, [transition('next', 'end', { actor: 'deterministic', guards })]);
        const walk = begin(
          plan([...states, last, state('end')], { initialContext: { a: list, b: [...list] } }),
        );
        const is = (): void => {
          assert.equal(walk.run.problem?.code, 'CHAIN_TOO_LONG');
          assert.match(
            walk.run.problem?.message ?? '',
            new RegExp(`transitions of \`s${before}\` compare more`, 'u'),
          );
          assert.match(wayOn(walk.run, null) ?? '', /a retry would come to the same: only a cancel helps/);
        };
        is();
        operate(walk, 'retry');
        is();
        operate(walk, 'cancel');
        assert.equal(walk.run.status, 'cancelled');
      }
  });

  it('counts what it writes as the context would be counted: nothing more fits than before', () => {
    const walk = begin(chain(20, { text: 'x'.repeat(1_000) }, [], [doubled('text')]));
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'RUN_FULL']);
    assert.equal((walk.run.context['text'] as string).length, 512_000);
  });
});

describe('a decision', () => {
  const gated = (count: number) => {
    const walk = begin(plan([state('a', [transition('go', 'a', { gate: gate() })])]));
    const args = Array.from({ length: count }, () =>
      counted({ list: Array.from({ length: 100 }, (_, n) => n) }),
    );
    for (const [n, counted] of args.entries())
      walk.submit(agent, 'go', { n, more: counted.value as unknown as Json });
    assert.equal(walk.run.approvals.length, count);
    return { walk, args };
  };

  it('looks into the arguments of no other approval that is open', () => {
    const { walk, args } = gated(5);
    const [first, ...others] = args;
    assert.ok(first !== undefined);
    const before = others.map((counted) => counted.reads());
    const ids = walk.run.approvals.map(({ id }) => id);
    walk.decide(fay, ids[0] ?? '', 'deny');
    walk.submit(agent, 'go', { n: 99 });
    assert.deepEqual(
      others.map((counted) => counted.reads()),
      before,
    );
    walk.fire(ids[1] ?? '');
    assert.deepEqual(
      others.slice(1).map((counted) => counted.reads()),
      before.slice(1),
    );
  });

  it('takes digests of what it was asked, and not once more for each approval that is open', () => {
    let digested = 0;
    const counting: Kit = {
      ...kit,
      digest: (value) => {
        digested += canonical(value).length;
        return kit.digest(value);
      },
    };
    const taken = (open: number): number => {
      const walk = begin(plan([state('a', [transition('go', 'a', { gate: gate() })])]), {}, agent, counting);
      for (let n = 0; n < open; n += 1) walk.submit(agent, 'go', { n });
      digested = 0;
      walk.submit(agent, 'go', { text: 'x'.repeat(100_000) });
      return digested;
    };
    for (const open of [1, 40]) assert.ok(taken(open) < 400_000, `${taken(open)}`);
  });
});

describe('the guards of one step', () => {
  const going = (guards: readonly Guard[], initialContext: JsonObject = {}) => {
    const walk = begin(plan([state('a', [transition('go', 'a', { guards })])], { initialContext }));
    const decided = walk.submit(agent, 'go');
    const records = decided.trace.filter(({ type }) => type === 'guard.evaluated').length;
    return { records, answer: decided.effects };
  };
  const passing = expr(literal(1), '==', literal(1));

  it('are an error where they are more than one step asks, apart or in one', () => {
    const many = Array.from({ length: 257 }, () => passing);
    for (const guards of [many, [passing, { kind: 'allOf' as const, guards: many }]]) {
      const { records, answer } = going(guards);
      assert.equal(records, 1);
      assert.match(JSON.stringify(answer), /GUARD_REJECTED.*more than 256 conditions/);
    }
    assert.equal(going(many.slice(1)).records, 256);
  });

  it('are an error where they compare more than one step may', () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const { records, answer } = going(
      Array.from({ length: 250 }, () => same),
      { a: list, b: [...list] },
    );
    assert.ok(records < 100, `${records}`);
    assert.match(JSON.stringify(answer), /GUARD_REJECTED.*compare more than/);
  });

  it('are ended within one guard too, and so are the conditions of gates and branches', () => {
    const list = Array.from({ length: 20_000 }, (_, n) => n % 10);
    const initialContext = { a: [0, list], b: [0, list.with(19_999, -1)] };
    const big = counted(initialContext.a[1] as number[]);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const none: Guard = { kind: 'anyOf', guards: Array.from({ length: 250 }, () => same) };
    const context = { ...initialContext, a: [0, big.value] };
    const refused = going([none], context);
    assert.match(JSON.stringify(refused.answer), /GUARD_REJECTED.*compare more than/);
    const mine = going([{ kind: 'not', guard: same }], context);
    assert.equal(mine.records, 1);
    const walked = (fields: object) => {
      const walk = begin(
        plan([state('a', [transition('go', 'b', fields)]), state('b')], { initialContext: context }),
      );
      walk.submit(agent, 'go');
      return walk.run;
    };
    // An error in a gate's condition makes the gate apply.
    const gated = walked({ gates: [gate({ on: none })] });
    assert.match(gated.approvals[0]?.asked[0]?.reason ?? '', /compare more than/);
    const branches = Array.from({ length: 250 }, () => ({ when: same, target: 'a' }));
    // A branch whose condition could not be asked leads nowhere.
    const led = walked({ branches });
    assert.deepEqual([led.status, led.state, led.problem?.code], ['stuck', 'a', 'CHAIN_TOO_LONG']);
    assert.match(led.problem?.message ?? '', /the branches of `go` compare more than/);
    const whole = 2 * list.length * 250;
    assert.ok(big.reads() < whole, `${big.reads()} of ${whole}`);
  });

  it('are asked once in a gate: what a person reads is what was found', () => {
    const list = Array.from({ length: 50_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const on: Guard = { kind: 'allOf', guards: Array.from({ length: 4 }, () => same) };
    const initialContext = { a: list, b: [...list] };
    const walk = begin(
      plan([state('a', [transition('go', 'b', { gates: [gate({ on })] })]), state('b')], { initialContext }),
    );
    walk.submit(agent, 'go');
    assert.doesNotMatch(walk.run.approvals[0]?.asked[0]?.reason ?? '', /compare more than/);
    const much: Guard = { kind: 'allOf', guards: Array.from({ length: 8 }, () => same) };
    const over = begin(
      plan([state('a', [transition('go', 'b', { gates: [gate({ on: much })] })]), state('b')], {
        initialContext,
      }),
    );
    over.submit(agent, 'go');
    assert.match(over.run.approvals[0]?.asked[0]?.reason ?? '', /compare more than/);
  });

  it('may look for many things in one large list: what is charged is what is done', () => {
    const list = Array.from({ length: 2_000 }, (_, n) => `an item of some length, number ${n}`);
    const looks = Array.from({ length: 30 }, (_, n) =>
      expr(path('context', 'list'), 'contains', literal(list[n * 60] ?? '')),
    );
    const words = Array.from({ length: 30 }, (_, n) =>
      expr(path('context', 'text'), 'contains', literal(`number ${n}`)),
    );
    const context = { list, text: list.join('. ') };
    for (const guards of [looks, words])
      for (const asked of [guards, [{ kind: 'allOf' as const, guards }]]) {
        const walk = begin(
          plan([state('a', [transition('go', 'a', { guards: asked })])], { initialContext: context }),
        );
        for (let times = 0; times < 3; times += 1)
          assert.match(JSON.stringify(walk.submit(agent, 'go').effects), /"executed"/);
        assert.equal(begin(chain(3, context, asked, [])).run.status, 'completed');
      }
  });

  it('are an error where they look for too much in long texts', () => {
    const text = 'ab'.repeat(250_000);
    const asked = Array.from({ length: 250 }, () =>
      expr(path('context', 'text'), 'contains', literal(`${'ab'.repeat(30)}c`)),
    );
    const { answer } = going([{ kind: 'anyOf', guards: asked }], { text });
    assert.match(JSON.stringify(answer), /GUARD_REJECTED.*compare more than/);
  });
});

describe('the problem of a state with thousands of transitions', () => {
  it('is as long as lists of runs can carry', () => {
    const never = expr(path('context', 'n'), '==', literal(2));
    const states = (actor: 'agent' | 'deterministic', count: number) =>
      plan(
        [
          state(
            'a',
            Array.from({ length: count }, (_, n) => transition(`t${n}`, 'a', { actor, guards: [never] })),
          ),
        ],
        { initialContext: { n: 1 } },
      );
    for (const of of [states('agent', 6_000), states('deterministic', 1_000)]) {
      const { run, last } = begin(of);
      assert.match(run.problem?.message ?? '', /`t0`: .*is false.*\.\.\.$/s);
      assert.ok((run.problem?.message.length ?? 0) <= 8_000);
      assert.equal(last.trace.at(-1)?.data['message'], run.problem?.message);
    }
  });
});

describe('what a call reads of its run', () => {
  it('is digested once for each path, however often the call names it', () => {
    let digests = 0;
    const digest: Kit['digest'] = (value) => {
      digests += 1;
      return kit.digest(value);
    };
    const hole = path('context', 'big') as Path;
    const executor: Executor = {
      ...{ kind: 'rest', connection: 'c', method: 'POST', path: { kind: 'text', parts: ['/', hole, hole] } },
      ...{ query: [], headers: [], body: hole, idempotencyKey: true },
    };
    const { reliability } = transition('go', 'a');
    const reads = readsOf({ digest }, { executor, reliability }, { context: { big: 'x' }, input: {} });
    assert.deepEqual([reads, digests], [{ '$.context.big': kit.digest('x') }, 1]);
  });
});

describe('links', () => {
  it('do not promise what takes more work to tell than looking may take', () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n % 10);
    const same = expr(path('context', 'a'), '==', path('context', 'b'));
    const names = Array.from({ length: 300 }, (_, n) => `t${n}`);
    const of = plan(
      [
        state(
          'a',
          names.map((name) => transition(name, 'a', { guards: [same] })),
        ),
      ],
      { linkFilter: 'byGuards', initialContext: { a: list, b: [...list] } },
    );
    const offered = links(of, begin(of).run, agent, kit).map(({ rel }) => rel);
    assert.ok(offered.length > 0 && offered.length < 100, `${offered.length}`);
    assert.deepEqual(offered, names.slice(0, offered.length));
  });
});

describe('a text in a text', () => {
  const found = (left: string, right: string): boolean => compare(left, 'contains', right).verdict === 'pass';

  it('is found where JavaScript finds it, however long both are', () => {
    const pieces = fc.array(fc.constantFrom('a', 'b', 'ab', 'aab', '😀'), { maxLength: 8 });
    fc.assert(
      fc.property(pieces, pieces, fc.integer({ min: 1, max: 400 }), (text, part, times) => {
        const [left, right] = [text.join('').repeat(1_000), part.join('').repeat(times)];
        assert.equal(found(left, right), left.includes(right));
      }),
      { numRuns: runsOf(300) },
    );
  });

  it('is looked for in time of their lengths together: two texts that are made to take minutes are told at once', () => {
    const half = 'a'.repeat(200_000);
    assert.equal(found(half.repeat(5), `${half}b${half}`), false);
    assert.equal(found(`${half}${half}b${half}`, `${half}b${half}`), true);
  });
});

describe('the beginning of a value', () => {
  it('is what its whole JSON begins with', () => {
    fc.assert(
      fc.property(json, fc.integer({ min: 3, max: 60 }), (value, longest) => {
        assert.equal(jsonBeginning(value, longest), truncate(JSON.stringify(value), longest));
      }),
      { numRuns: runsOf(2_000) },
    );
    for (const value of [
      'é😀'.repeat(50),
      ['\ud83d'.repeat(30)],
      { ['😀'.repeat(40)]: { a: 'x'.repeat(99) } },
    ])
      for (let longest = 3; longest < 90; longest += 1)
        assert.equal(jsonBeginning(value, longest), truncate(JSON.stringify(value), longest));
  });

  it('is written once for each value, however many conditions name it', () => {
    let looked = 0;
    const value = new Proxy<JsonObject>(
      { name: 1 },
      {
        ownKeys: (target) => {
          looked += 1;
          return Reflect.ownKeys(target);
        },
      },
    );
    for (let times = 0; times < 3; times += 1) assert.equal(jsonBeginning(value, 120), '{"name":1}');
    assert.equal(looked, 1);
  });
});
