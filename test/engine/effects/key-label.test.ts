import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelIn } from '../../../src/engine/effects/key-label.js';
import type { Plan } from '../../../src/engine/plan.js';
import { onEnter, plan, rest, state, transition } from '../build.js';
import { agent } from '../people.js';
import { begin } from '../walk.js';

/** The keys of what a run does: `names` are submitted in this order, and what begins by itself has its outcome. */
function keysOf(of: Plan, names: readonly string[]): string[] {
  const walk = begin(of);
  const keys: string[] = [];
  const settle = (): void => {
    while (walk.run.executing !== null) {
      keys.push(walk.run.executing.action.idempotencyKey);
      walk.outcome();
    }
  };
  settle();
  for (const name of names) {
    walk.submit(agent, name);
    settle();
  }
  return keys;
}
const labels = (keys: readonly string[]): string[] =>
  keys.map((key) => key.split(':').slice(1, -2).join(':'));
const does = (name: string, target: string) => transition(name, target, { executor: rest });

describe('the idempotency key of an effect', () => {
  it('is named after its transition, and by its state too where several have one of that name', () => {
    const of = plan([
      state('a', [does('same', 'b'), does('pay', 'a')]),
      state('b', [does('same', 'c')]),
      state('c'),
    ]);
    const keys = keysOf(of, ['pay', 'same', 'same']);
    assert.deepEqual(labels(keys), ['pay', 'a/same', 'b/same']);
    assert.equal(new Set(keys).size, 3);
  });

  it('is never that of another effect, whatever they are named', () => {
    const flow = plan([
      state('a', [does('onEnter:b', 'b'), does('a/x', 'a')]),
      state('b', [does('x', 'b'), does('back', 'a')], onEnter()),
      state('b/x', [does('x', 'b')]),
      state('a%2F', [does('x', 'b')]),
    ]);
    const keys = keysOf(flow, ['a/x', 'onEnter:b', 'x']);
    assert.deepEqual(labels(keys), ['a%2Fx', 'onEnter%3Ab', 'onEnter:b', 'b/x', 'onEnter:b']);
    assert.equal(new Set(keys).size, keys.length);
  });

  it('holds only what a header carries, and no name becomes another by that', () => {
    const names = ['überweisen', '%C3%BCberweisen', 'a b', 'a%20b', 'a:b', 'a%3Ab'];
    const keys = keysOf(
      plan([
        state(
          'a',
          names.map((name) => does(name, 'a')),
        ),
      ]),
      names,
    );
    for (const key of keys) assert.match(key, /^[!-~]+$/);
    assert.equal(new Set(labels(keys)).size, names.length);
    assert.equal(labels(keys)[0], '%C3%BCberweisen');
  });

  it('is short enough for every target, and its own, however long the names are and wherever they differ', () => {
    const long = '承認された支払いを送金する'.repeat(8);
    const names = [
      `${long}一`,
      `${long}二`,
      'x'.repeat(300),
      '😀'.repeat(50),
      'k'.repeat(141),
      'k'.repeat(140),
    ];
    const target = `${long}b`;
    const of = plan([
      state('a', [...names.map((name) => does(name, 'a')), does('enter', target), does(`${long}三`, 'a')]),
      state(target, [does(`${long}三`, target)], onEnter()),
    ]);
    const keys = keysOf(of, [...names, `${long}三`, 'enter', `${long}三`]);
    // The last transition enters its state again, whose onEnter then has another count.
    assert.deepEqual([keys.length, new Set(keys).size], [names.length + 5, names.length + 5]);
    assert.equal(new Set(labels(keys)).size, names.length + 4);
    for (const key of keys) {
      assert.ok(key.length < 255, key);
      assert.match(key, /^[!-~]+$/);
      assert.doesNotThrow(() => labelIn(key));
    }
    assert.equal(labelIn(keys[0] ?? ''), '承認され…');
    assert.equal(labelIn(keys[5] ?? ''), 'k'.repeat(140));
  });
});
