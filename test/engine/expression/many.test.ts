import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utf8Length, type Json, type JsonObject } from '../../../src/model/values/json.js';
import { evaluateGuard, links, readsOf, readsProblem, verdictOf } from '../../../src/engine/index.js';
import { applyMapping } from '../../../src/engine/expression/mapping.js';
import { conditionsOf, isTooLarge, type GuardContext } from '../../../src/engine/guards.js';
import type {
  EvidenceRequirement,
  Executor,
  Guard,
  Mapping,
  Operand,
  Path,
} from '../../../src/engine/plan.js';
import type { EventResult, Evidence } from '../../../src/engine/state.js';
import { makeWork } from '../../../src/engine/run/work.js';
import { expr, gate, literal, path, plan, state, transition } from '../build.js';
import { agent, principal } from '../people.js';
import { answerOf, approve, begin, kit } from '../walk.js';

// Many of something that an author or a caller chooses: what one event does and records with them has a bound.

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const bytesOf = (value: unknown): number => utf8Length(JSON.stringify(value));
const unresolvedIn = ({ trace }: EventResult): readonly JsonObject[] =>
  trace.filter(({ type }) => type === 'mapping.unresolved').map(({ data }) => data);

/** A context that counts each look at a name. */
function watched(context: JsonObject): { readonly context: JsonObject; readonly looks: () => number } {
  let looks = 0;
  const handler: ProxyHandler<JsonObject> = {
    getOwnPropertyDescriptor: (target, name) => {
      looks += 1;
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
  };
  return { context: new Proxy(context, handler), looks: () => looks };
}

const concat = (key: string, operands: readonly Operand[]): Mapping => ({
  key,
  spec: { kind: 'concat', operands },
});

describe('a chain whose steps join very many values', () => {
  /** How often the chain goes round, and how many values it joins each time. */
  const round = (operands: readonly Operand[], q: JsonObject) => {
    const more = transition('more', 'b', {
      actor: 'deterministic',
      guards: [expr(path('context', 'n'), '<', literal(400))],
      output: [
        { key: 'n', spec: { kind: 'add', operands: [path('context', 'n'), literal(1)] } },
        concat('z', operands),
      ],
    });
    const out = transition('out', 'end', {
      actor: 'deterministic',
      guards: [expr(path('context', 'n'), '>=', literal(400))],
    });
    const states = [state('a', [transition('go', 'b')]), state('b', [more, out]), state('end')];
    const walk = begin(plan(states, { initialContext: { n: 0, ...q }, maxChainDepth: 500 }));
    return { walk, decided: walk.submit(agent, 'go') };
  };

  it('is ended at a bound of them, whether they are there or not, and has one record a step', () => {
    for (const q of [{}, { q: '' }, { q: 0 }]) {
      const { walk, decided } = round(
        times(18_000, () => path('context', 'q')),
        q,
      );
      assert.equal(walk.run.problem?.code, 'CHAIN_TOO_LONG');
      assert.ok(walk.run.version < 20, `${walk.run.version} steps`);
      assert.ok(decided.trace.length < 100, `${decided.trace.length} records`);
      assert.ok(bytesOf(decided) < 200_000, `${bytesOf(decided)} bytes`);
    }
  });

  it('goes through where it joins a few of them at each of its steps', () => {
    const { walk, decided } = round(
      times(20, () => path('context', 'q')),
      { q: '' },
    );
    assert.equal(walk.run.status, 'completed');
    assert.equal(unresolvedIn(decided).length, 0);
  });

  it('counts what it records as missing among its steps and conditions', () => {
    const { walk, decided } = round([path('context', 'q')], {});
    assert.equal(walk.run.problem?.code, 'CHAIN_TOO_LONG');
    assert.ok(unresolvedIn(decided).length < 400);
  });
});

describe('what a mapping does not find', () => {
  const missing = (mapping: readonly Mapping[]) => {
    const walk = begin(
      plan([state('a', [transition('go', 'a', { output: mapping }), transition('end', 'b')]), state('b')]),
    );
    return unresolvedIn(walk.submit(agent, 'go'));
  };

  it('is one record: of one path that path, of several the first few and how many there are', () => {
    assert.deepEqual(missing([concat('z', [path('context', 'q')])]), [{ path: '$.context.q' }]);
    const names = times(5, (n) => `$.context.q${n}`);
    const many = times(900, (n) => path('context', `q${n}`));
    const told = { path: names[0], paths: names, count: 900 };
    assert.deepEqual(missing([concat('z', many)]), [told]);
    const alone = many.map((value, n): Mapping => ({ key: `k${n}`, spec: { kind: 'set', value } }));
    assert.deepEqual(missing(alone), [told]);
    const again = times(900, () => path('context', 'q'));
    assert.deepEqual(missing([concat('z', again)]), [
      { path: '$.context.q', paths: ['$.context.q'], count: 900 },
    ]);
  });

  it('is looked for once for each operand, and charged for each', () => {
    const { context, looks } = watched({});
    const work = makeWork();
    const before = work.chain.left;
    const operands = times(1_000, () => path('context', 'q'));
    const scopes = { arguments: {}, context, input: {}, output: null, response: null };
    const { unresolved } = applyMapping([concat('z', operands)], scopes, work);
    assert.deepEqual([unresolved.count, looks()], [1_000, 1_000]);
    assert.ok(before - work.chain.left >= 256_000, `${before - work.chain.left}`);
  });
});

const requirement = (kind: string, count = 1, distinct = false): EvidenceRequirement => ({
  ...{ kind, count, distinct },
});
const requires = (...all: readonly EvidenceRequirement[]): Guard => ({ kind: 'evidence', requires: all });
const recorded = (count: number, kind = 'x', by: string | null = null): Evidence[] =>
  times(count, (n) => ({
    ...{ id: `evd_${kind}${n}`, kind, at: '2026-01-01T00:00:00.000Z', stay: 0, state: 'a' },
    by: by === null ? null : `${by}${n}`,
  }));

/** Evidence that counts each reading of a record. */
function counted(evidence: readonly Evidence[]): {
  readonly evidence: readonly Evidence[];
  readonly reads: () => number;
} {
  let reads = 0;
  const handler: ProxyHandler<Evidence> = {
    get: (target, name): unknown => {
      reads += 1;
      return Reflect.get(target, name);
    },
  };
  return { evidence: evidence.map((item) => new Proxy(item, handler)), reads: () => reads };
}

const context = (evidence: readonly Evidence[], fields: Partial<GuardContext> = {}): GuardContext => ({
  ...{ arguments: {}, context: {}, input: {}, principal: agent, evidence, state: 'a', stay: 0 },
  ...fields,
});

describe('many kinds of evidence that a guard requires', () => {
  it('are a condition each', () => {
    assert.equal(conditionsOf([requires(...times(300, () => requirement('x')))]), 300);
    assert.equal(conditionsOf([requires()]), 1);
    assert.ok(isTooLarge(requires(...times(10_001, () => requirement('x')))));
    const walk = begin(
      plan([
        state('a', [
          transition('go', 'a', { guards: [requires(...times(257, () => requirement('x')))] }),
          transition('end', 'b'),
        ]),
        state('b'),
      ]),
    );
    const decided = walk.submit(agent, 'go');
    assert.match(JSON.stringify(decided.effects), /GUARD_REJECTED.*more than 256 conditions/);
    assert.ok(bytesOf(decided) < 20_000, `${bytesOf(decided)} bytes`);
  });

  it('are counted in one reading of what is recorded, however many they are and however often they are asked', () => {
    for (const [kind, by] of [
      ['x', null],
      ['human_request', 'ann'],
    ] as const) {
      const { evidence, reads } = counted(recorded(2_000, kind, by));
      const guard = requires(requirement(kind, 2_001), ...times(200, () => requirement(kind)));
      assert.equal(verdictOf(guard, context(evidence)), 'fail');
      const once = reads();
      assert.ok(once <= 8 * 2_000, `${once}`);
      for (let asked = 0; asked < 20; asked += 1) verdictOf(guard, context(evidence));
      assert.equal(reads(), once);
    }
  });

  it('are counted as they are: all, distinct, and people by where the run is', () => {
    const people = recorded(3, 'human_request', 'ann');
    const evidence = [
      ...recorded(4),
      ...recorded(4),
      ...people,
      ...people.map((item) => ({ ...item, by: null })),
    ];
    const have = (of: EvidenceRequirement, fields: Partial<GuardContext> = {}): boolean =>
      verdictOf(requires(of), context(evidence, fields)) === 'pass';
    assert.deepEqual([have(requirement('x', 8)), have(requirement('x', 9))], [true, false]);
    assert.deepEqual([have(requirement('x', 4, true)), have(requirement('x', 5, true))], [true, false]);
    assert.deepEqual(
      [have(requirement('human_request', 3)), have(requirement('human_request', 4))],
      [true, false],
    );
    assert.equal(have(requirement('human_request', 1), { stay: 1 }), false);
    assert.equal(have(requirement('human_request', 3), { stay: 1, state: 'b' }), true);
    assert.equal(have(requirement('y')), false);
  });

  it('have a refusal that names the first few, and how many others are missing', () => {
    const named = (count: number): string =>
      evaluateGuard(requires(...times(count, (n) => requirement(`k${n}`, 2))), context([])).reason;
    assert.match(named(10), /`k9` 0 of 2$/);
    assert.match(named(11), /`k9` 0 of 2 and 1 other$/);
    assert.match(named(256), /`k9` 0 of 2 and 246 others$/);
  });

  it('are an error where counting them is more than one step may do', () => {
    const [item] = recorded(1);
    assert.ok(item !== undefined);
    const evidence = times(600_000, () => item);
    const walk = begin(
      plan([
        state('a', [transition('go', 'a', { guards: [requires(requirement('x'))] }), transition('end', 'b')]),
        state('b'),
      ]),
    );
    walk.run = { ...walk.run, evidence };
    assert.match(JSON.stringify(walk.submit(agent, 'go').effects), /GUARD_REJECTED.*compare more than/);
  });

  it('are no link where they are more than a guard may have, and cost one count at all links together', () => {
    const { evidence, reads } = counted(recorded(5_000));
    const guard = requires(...times(200, () => requirement('x', 5_000)));
    const over = requires(...times(49_000, () => requirement('x')));
    const names = times(50, (n) => `t${n}`);
    const of = plan(
      [
        state('a', [
          ...names.map((name) => transition(name, 'a', { guards: [guard] })),
          transition('over', 'a', { guards: [over] }),
          transition('end', 'b'),
        ]),
        state('b'),
      ],
      { linkFilter: 'byGuards' },
    );
    const run = { ...begin(of).run, evidence };
    assert.deepEqual(
      links(of, run, agent, kit).map(({ rel }) => rel),
      [...names, 'end'],
    );
    assert.ok(reads() <= 8 * 5_000, `${reads()}`);
  });

  it('end a chain that asks for them too often', () => {
    const next = (at: number): string => (at === 399 ? 'end' : `s${at + 1}`);
    const guard = requires(...times(100, () => requirement('x')));
    const states = times(400, (at) =>
      state(`s${at}`, [transition('next', next(at), { actor: 'deterministic', guards: [guard] })]),
    );
    const go = transition('go', 's0', { evidence: 'x' });
    const walk = begin(plan([state('a', [go]), ...states, state('end')], { maxChainDepth: 500 }));
    const { trace } = walk.submit(agent, 'go');
    assert.equal(walk.run.problem?.code, 'CHAIN_TOO_LONG');
    assert.ok(bytesOf(trace) < 500_000, `${bytesOf(trace)}`);
  });
});

describe('the reason of a guard', () => {
  const long = 'x'.repeat(900);
  const never = expr(path('context', long), '==', literal(1));

  it('is as long as an answer can carry, and no longer, of many conditions too', () => {
    const none: Guard = { kind: 'anyOf', guards: times(250, () => never) };
    for (const guard of [none, { kind: 'not', guard: { kind: 'not', guard: none } } as const]) {
      const { reason } = evaluateGuard(guard, context([]));
      assert.match(reason, /none of the guards passes: .*\.\.\.$/s);
      assert.ok(reason.length <= 2_000, `${reason.length}`);
    }
    const few = evaluateGuard({ kind: 'anyOf', guards: [never, never] }, context([])).reason;
    assert.equal(few.split('; ').length, 2);
  });

  it('is short of a gate that asks for many kinds of evidence', () => {
    const on: Guard = {
      kind: 'not',
      guard: requires(...times(200, (n) => requirement(`k${n}`.padEnd(400, 'k')))),
    };
    const walk = begin(plan([state('a', [transition('go', 'b', { gates: [gate({ on })] })]), state('b')]));
    walk.submit(agent, 'go');
    assert.ok((walk.run.approvals[0]?.asked[0]?.reason?.length ?? 9_999) <= 2_000);
  });
});

describe('the roles and permissions of a caller who holds very many', () => {
  const held = times(5_000, (n) => `role${n}`);
  const guards = times(250, (n): Guard => ({ kind: 'role', role: `role${4_999 - n}` }));
  const going = (by: ReturnType<typeof principal>, asked: readonly Guard[]): EventResult => {
    const walk = begin(
      plan([state('a', [transition('go', 'a', { guards: asked }), transition('end', 'b')]), state('b')]),
    );
    return walk.submit(by, 'go');
  };

  it('are on record by size and digest, worked out once for all guards', () => {
    let digested = 0;
    const hands = { ...kit, digest: (value: Json) => ((digested += 1), kit.digest(value)) };
    const walk = begin(
      plan([state('a', [transition('go', 'a', { guards }), transition('end', 'b')]), state('b')]),
      {},
      agent,
      hands,
    );
    digested = 0;
    const decided = walk.submit(principal('ann', 'human', { roles: held }), 'go');
    assert.equal(answerOf(decided)?.status, 'executed');
    assert.ok(digested < 20, `${digested}`);
    const read = decided.trace.filter(({ type }) => type === 'guard.evaluated').map(({ data }) => data);
    assert.ok(bytesOf(read) < 100_000, `${bytesOf(read)}`);
  });

  it('are looked through within what one step may do', () => {
    const more = times(200_000, (n) => `role${n}`);
    const asked = times(250, (): Guard => ({ kind: 'role', role: 'role199999' }));
    const decided = going(principal('ann', 'human', { roles: more }), asked);
    assert.match(JSON.stringify(decided.effects), /GUARD_REJECTED.*compare more than/);
  });

  it('are none where nobody asks', () => {
    const at = context([], { principal: null });
    assert.equal(verdictOf({ kind: 'role', role: 'r' }, at), 'fail');
    assert.deepEqual(evaluateGuard({ kind: 'permission', permission: 'p' }, at).reads, [
      { path: 'principal.permissions', value: [] },
    ]);
  });
});

describe('what guards read', () => {
  it('is on record as it is up to a bound of all of it, and beyond that by size and digest', () => {
    const value = 'x'.repeat(4_000);
    const guards = times(250, () => expr(path('context', 'q'), '==', path('context', 'q')));
    const of = [state('a', [transition('go', 'a', { guards }), transition('end', 'b')]), state('b')];
    const walk = begin(plan(of, { initialContext: { q: value, short: 'y' } }));
    const { trace } = walk.submit(agent, 'go');
    const reads = trace
      .filter(({ type }) => type === 'guard.evaluated')
      .flatMap(({ data }) => data['reads'] as JsonObject[]);
    assert.deepEqual(reads[0], { path: '$.context.q', value });
    assert.deepEqual(reads.at(-1), { path: '$.context.q', bytes: 4_002, digest: kit.digest(value) });
    assert.equal(reads.length, 500);
    const kept = reads.filter((value) => Object.hasOwn(value, 'value')).length;
    assert.equal(kept, Math.floor((256 * 1024) / 4_002));
  });

  it('is charged where it is compared with the beginning of a text', () => {
    const [text, part] = ['x'.repeat(250_000), 'x'.repeat(249_000)];
    const begins = expr(path('context', 'text'), 'starts_with', path('context', 'part'));
    const guards = times(1_200, () => begins);
    const conjunction: Guard = { kind: 'allOf', guards };
    const of = [state('a', [transition('go', 'b', { gates: [gate({ on: conjunction })] })]), state('b')];
    const walk = begin(plan(of, { initialContext: { text, part } }));
    walk.submit(agent, 'go');
    assert.match(walk.run.approvals[0]?.asked[0]?.reason ?? '', /compare more than/);
  });

  it('is digested once, however many ways a call writes to it', () => {
    let digests = 0;
    const digest = (value: Json): string => ((digests += 1), kit.digest(value));
    const spelled = times(50, (n) => ({ ...path('context', 'big'), text: `$.context.big${' '.repeat(n)}` }));
    const executor: Executor = {
      ...{ kind: 'mcp', connection: 'c', tool: 't', idempotencyKey: true },
      map: { kind: 'array', items: spelled as Path[] },
    };
    const reads = readsOf(
      { digest },
      { executor, reliability: transition('go', 'a').reliability },
      {
        ...{ context: { big: times(100, (n) => n) }, input: {} },
      },
    );
    assert.deepEqual([Object.keys(reads).length, digests], [50, 1]);
  });
});

describe('a sentence about very many', () => {
  it('names the first few roles that could decide, and how many others', () => {
    const roles = times(5_000, (n) => `role${n}`);
    const walk = begin(plan([state('a', [transition('go', 'b', { gate: gate({ roles }) })]), state('b')]));
    walk.submit(agent, 'go');
    const decided = approve(walk, principal('ann'));
    assert.match(JSON.stringify(decided.effects), /one of the roles .*`role9` and 4990 others/);
    assert.ok(bytesOf(decided.effects) < 1_000);
  });

  it('names the first few paths that have changed', () => {
    const said = readsProblem(times(12, (n) => `$.context.k${n}`));
    assert.match(said, /`\$\.context\.k9` and 2 others has changed$/);
  });
});

describe('very many arguments to what takes none', () => {
  it('are refused with an error for each of the first few', () => {
    const walk = begin(plan([state('a', [transition('go', 'b', { inputSchema: null })]), state('b')]));
    const refused = walk.submit(agent, 'go', Object.fromEntries(times(10_000, (n) => [`name${n}`, n])));
    const [effect] = refused.effects;
    assert.ok(effect?.kind === 'answer' && effect.answer.status === 'refused');
    assert.deepEqual([effect.answer.code, effect.answer.errors?.length], ['INPUT_INVALID', 20]);
    assert.ok(bytesOf(refused.effects) + bytesOf(refused.trace) < 10_000);
  });
});
