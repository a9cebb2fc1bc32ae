import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Mapping } from '../../../src/engine/plan.js';
import type { EventResult, Kit } from '../../../src/engine/state.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent } from '../people.js';
import { answerOf, approve, begin, kit, types, type Walk } from '../walk.js';

// What a submit leads to before anything is called, and the run cannot carry: the submit is refused.

const note = path('arguments', 'note');
const kept = path('context', 'kept');
const large = 'x'.repeat(300_000);
const writes = (key: string, spec: Mapping['spec']): Mapping[] => [{ key, spec }];
const keeps = { output: writes('kept', { kind: 'set', value: note }) };
const copies = { output: writes('copy', { kind: 'set', value: kept }) };
const joins = { output: writes('copy', { kind: 'concat', operands: [kept, literal('-'), kept] }) };
const runs = (fields: Fields): Fields => ({ actor: 'deterministic', ...fields });
const copying = (name: string) => state(name, [transition('on', 'end', runs(copies))]);
const begun = (result: EventResult): number => result.effects.filter(({ kind }) => kind === 'execute').length;

/** A submit in state `a` leads to `b`; from there the runtime goes on. */
const leading = (last: Parameters<typeof plan>[0], own: Fields = keeps, hands: Kit = kit): Walk =>
  begin(
    plan([
      state('a', [transition('go', 'b', own), transition('pay', 'a', { executor: rest, gate: gate() })]),
      ...last,
      state('end'),
    ]),
    {},
    agent,
    hands,
  );
const vast: Kit = {
  ...kit,
  show: (_transition, { context }) => ({
    ...{ summary: '', consequence: '' },
    preview: (context['kept'] as string | undefined)?.repeat(15) ?? null,
  }),
};

describe('a submit after which the runtime comes to more than the run can carry', () => {
  const ways: Readonly<Record<string, readonly [RegExp, () => Walk]>> = {
    'in the next step': [/`b`, where the context would take 600\d+ bytes/, () => leading([copying('b')])],
    'further down the chain': [
      /`c`, where the context would take 600\d+ bytes/,
      () => leading([state('b', [transition('on', 'c', runs({}))]), copying('c')]),
    ],
    'in copies that are joined': [
      /`b`, where what the mapping writes takes at least 600\d+ bytes/,
      () => leading([state('b', [transition('on', 'end', runs(joins))])]),
    ],
    'on entering the state': [
      /`b`, where the context would take 600\d+ bytes/,
      () => leading([state('b', [transition('on', 'end')], onEnter(copies))]),
    ],
    'on entering a state down the chain': [
      /`c`, where the context would take 600\d+ bytes/,
      () =>
        leading([
          state('b', [transition('on', 'c', runs({}))]),
          state('c', [transition('on', 'end')], onEnter(copies)),
        ]),
    ],
    'in what an approval of the runtime would show': [
      /`b`, where .*4194304 bytes/,
      () =>
        leading([state('b', [transition('on', 'end', runs({ executor: rest, gate: gate() }))])], keeps, vast),
    ],
  };
  for (const [where, [told, make]] of Object.entries(ways))
    it(`${where} is refused, and changes nothing; a smaller one is taken`, () => {
      const walk = make();
      walk.submit(agent, 'pay');
      const before = walk.run;
      const said = walk.submit(agent, 'go', { note: large });
      assert.equal(answerOf(said)?.code, 'RUN_FULL');
      assert.match(JSON.stringify(answerOf(said)), told);
      assert.deepEqual(walk.run, before);
      assert.deepEqual([types(said), said.actions], [['transition.requested', 'transition.rejected'], []]);
      assert.equal(said.effects.length, 1);
      assert.equal(answerOf(walk.submit(agent, 'go', { note: 'small' }))?.code, undefined);
      assert.deepEqual([walk.run.version > before.version, walk.run.status === 'stuck'], [true, false]);
    });

  it('leaves on record what its guards read', () => {
    const guarded = leading([copying('b')], { ...keeps, guards: [expr(literal(1), '==', literal(1))] });
    const said = guarded.submit(agent, 'go', { note: large });
    assert.deepEqual(types(said), ['transition.requested', 'guard.evaluated', 'transition.rejected']);
  });
  it('is taken where an effect has happened on the way: then the run is stuck', () => {
    const walk = leading([copying('b')], { ...keeps, executor: rest });
    const said = walk.submit(agent, 'go', { note: large });
    assert.equal(begun(said), 1);
    walk.outcome();
    assert.deepEqual([walk.run.state, walk.run.status, walk.run.problem?.code], ['b', 'stuck', 'RUN_FULL']);
    assert.equal(answerOf(walk.last)?.status, 'executed');
  });
  it('is taken where people have approved it: then the run is stuck', () => {
    const walk = leading([copying('b')], { ...keeps, gate: gate() });
    assert.equal(answerOf(walk.submit(agent, 'go', { note: large }))?.status, 'pending');
    approve(walk);
    assert.deepEqual([walk.run.state, walk.run.status, walk.run.problem?.code], ['b', 'stuck', 'RUN_FULL']);
  });
  it('is stuck as before where something else stops the runtime', () => {
    const walk = leading([state('b', [transition('on', 'end', runs({ guards: [expr(kept, '==', note)] }))])]);
    assert.equal(answerOf(walk.submit(agent, 'go', { note: large }))?.status, 'executed');
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'CHAIN_NO_MATCH']);
  });
});

describe('a submit that leads to a call that is larger than what may be sent', () => {
  /** Calls of more than so many characters. */
  const bounded = (most: number): Kit => ({
    ...kit,
    whyTooLarge: (step, scopes) => (JSON.stringify([step, scopes]).length > most ? 'it is too large' : null),
  });
  const small: Kit = bounded(100_000);
  const calls = (name: string, fields: Fields = {}) =>
    state(name, [transition('on', 'end', runs({ executor: rest, ...fields }))]);
  const ways: Readonly<Record<string, readonly [RegExp, () => Walk]>> = {
    'of its own': [/`go` cannot be taken: it is too large/, () => leading([], { executor: rest }, small)],
    'of the runtime': [
      /`go` cannot be taken: it leads on to `on` in state `b`, where it is too large/,
      () => leading([calls('b')], keeps, small),
    ],
    'on entering a state': [
      /it leads on to `onEnter:b` in state `b`, where it is too large/,
      () => leading([state('b', [transition('on', 'end')], onEnter({}))], keeps, small),
    ],
    'of which the runtime would ask somebody': [
      /it leads on to state `b`, where it cannot be shown/,
      () =>
        leading([calls('b', { gate: gate() })], keeps, {
          ...kit,
          show: (of, asking) => ({
            ...kit.show(of, asking),
            ...(JSON.stringify(asking).length > 100_000
              ? { refused: { code: 'TOO_LARGE', message: 'it cannot be shown' } }
              : {}),
          }),
        }),
    ],
  };
  for (const [where, [told, make]] of Object.entries(ways))
    it(`${where} is refused, and changes nothing; a smaller one is taken`, () => {
      const walk = make();
      const before = walk.run;
      const said = walk.submit(agent, 'go', { note: large });
      assert.equal(answerOf(said)?.code, 'TOO_LARGE');
      assert.match(JSON.stringify(answerOf(said)), told);
      assert.deepEqual([walk.run, begun(said)], [before, 0]);
      assert.equal(answerOf(walk.submit(agent, 'go', { note: 'small' }))?.code, undefined);
    });

  it('is not asked about again where people have approved it', () => {
    const walk = leading([], { executor: rest, gate: gate() }, bounded(0));
    assert.equal(answerOf(walk.submit(agent, 'go', { note: large }))?.status, 'pending');
    assert.equal(begun(approve(walk)), 1);
  });
});
