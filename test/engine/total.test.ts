import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/model/values/json.js';
import { decide, links } from '../../src/engine/index.js';
import type { Plan } from '../../src/engine/plan.js';
import type { EventResult, Event, RunState } from '../../src/engine/state.js';
import { runsOf } from '../../testing/samples.js';
import { play, story, kit } from './stories.js';
import { json, names, principal } from './generate.js';

// Whatever a store gives back, the engine answers once, in bounded time, and never grants what nobody wrote.

const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  json,
  fc.constantFrom<unknown>(null, undefined, [], {}, '', 0, -1, 1e300, 'approve', true),
);

/** The value with a part of it, however deep, removed or replaced. */
function changed(value: unknown, way: readonly number[], by: unknown, remove: boolean): unknown {
  const [turn, ...rest] = way;
  if (typeof value !== 'object' || value === null || turn === undefined) return by;
  const keys = Object.keys(value);
  const key = keys[turn % Math.max(keys.length, 1)];
  if (key === undefined) return by;
  const copy = Array.isArray(value)
    ? [...(value as readonly unknown[])]
    : { ...(value as Record<string, unknown>) };
  const inner = (value as Record<string, unknown>)[key];
  if (rest.length === 0 && remove) Reflect.deleteProperty(copy, key);
  else Reflect.set(copy, key, rest.length === 0 ? by : changed(inner, rest, by, remove));
  return copy;
}

const executes = (result: EventResult): boolean => result.effects.some((effect) => effect.kind === 'execute');

function isEventResult(result: EventResult): void {
  for (const list of [result.effects, result.trace, result.actions]) assert.ok(Array.isArray(list));
  assert.ok(result.trace.every((fact) => typeof fact.key === 'string' && typeof fact.type === 'string'));
}

describe('decide, of whatever it is given', () => {
  it('executes nothing of a plan, a run or an event that is none, and says on record that it could not read it', () => {
    fc.assert(
      fc.property(story, fc.nat(2), fc.nat(), anything, (told, which, turn, foreign) => {
        const steps = play(told);
        const { before, event, key } = steps[turn % steps.length] ?? assert.fail();
        const given = [told.plan, before, event] as unknown[];
        given[which] = foreign;
        const result = decide(given[0] as Plan, given[1] as RunState, given[2] as Event, kit, key);
        isEventResult(result);
        assert.ok(!executes(result));
        if (which === 0) return;
        assert.equal(result.trace[0]?.type, 'message.refused');
        assert.equal(result.state, given[1]);
      }),
      { numRuns: runsOf(1_500) },
    );
  });

  it('answers with one place of plan, run or event changed or lost, and never grants more than one effect', () => {
    const way = fc.array(fc.nat(20), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        story,
        fc.nat(2),
        fc.nat(),
        way,
        anything,
        fc.boolean(),
        (told, which, turn, at, by, remove) => {
          const steps = play(told);
          const { before, event, key } = steps[turn % steps.length] ?? assert.fail();
          const given = [told.plan, before, event] as unknown[];
          given[which] = changed(given[which], at, by, remove);
          const result = decide(given[0] as Plan, given[1] as RunState, given[2] as Event, kit, key);
          isEventResult(result);
          assert.ok(result.effects.filter((effect) => effect.kind === 'execute').length <= 1);
        },
      ),
      { numRuns: runsOf(4_000) },
    );
  });

  it('ends, however deep and however long what it is given is', () => {
    let deep: Json = 1;
    for (let left = 50_000; left > 0; left -= 1) deep = [deep];
    fc.assert(
      fc.property(
        story,
        fc.nat(2),
        fc.nat(),
        fc.array(fc.nat(20), { maxLength: 6 }),
        (told, which, turn, at) => {
          const steps = play(told);
          const { before, event, key } = steps[turn % steps.length] ?? assert.fail();
          const given = [told.plan, before, event] as unknown[];
          given[which] = changed(given[which], at, deep, false);
          isEventResult(decide(given[0] as Plan, given[1] as RunState, given[2] as Event, kit, key));
        },
      ),
      { numRuns: runsOf(600) },
    );
  });
});

describe('links, of whatever they are given', () => {
  it('are none, or links of this plan', () => {
    fc.assert(
      fc.property(
        story,
        principal,
        fc.nat(1),
        fc.array(fc.nat(20), { maxLength: 6 }),
        anything,
        (told, by, which, at, foreign) => {
          const run = play(told).at(-1)?.decision.state ?? assert.fail();
          const given = [told.plan, run] as unknown[];
          given[which] = changed(given[which], at, foreign, false);
          assert.ok(Array.isArray(links(given[0] as Plan, given[1] as RunState, by, { floors: [] })));
        },
      ),
      { numRuns: runsOf(1_500) },
    );
  });
});

describe('a name', () => {
  /** The same story with other names for everything that has a name. */
  const renamed = <T>(value: T, as: ReadonlyMap<string, string>): T => {
    const walk = (value: unknown): unknown => {
      if (typeof value === 'string') return as.get(value) ?? value;
      if (Array.isArray(value)) return value.map(walk);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [as.get(key) ?? key, walk(inner)]),
      );
    };
    return walk(value) as T;
  };

  it('means nothing: with plain names for `__proto__`, `constructor`, `a/b` and the like, every run goes the same way', () => {
    const plain = new Map(
      [...names, 's0', 's/2', 's3']
        .filter((name) => !/^[ab]$/.test(name))
        .map((name, index) => [name, `plain${index}`]),
    );
    fc.assert(
      fc.property(story, (told) => {
        const other = renamed(told, plain);
        // JavaScript keeps the order of these keys, since none of the names is a number.
        const [first, second] = [play(told), play(other)];
        const told1 = first.map(({ decision }) => [
          decision.state.status,
          decision.state.version,
          decision.trace.map((fact) => fact.type),
        ]);
        const told2 = second.map(({ decision }) => [
          decision.state.status,
          decision.state.version,
          decision.trace.map((fact) => fact.type),
        ]);
        assert.deepEqual(told2, told1);
        assert.equal(
          second.at(-1)?.decision.state.state,
          plain.get(first.at(-1)?.decision.state.state ?? ''),
        );
        assert.deepEqual(
          Object.keys(renamed(first.at(-1)?.decision.state ?? assert.fail(), plain).context).sort(),
          Object.keys(second.at(-1)?.decision.state.context ?? {}).sort(),
        );
      }),
      { numRuns: runsOf(400) },
    );
  });
});
