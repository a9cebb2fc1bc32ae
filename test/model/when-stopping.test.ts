import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { getEventListeners } from 'node:events';
import { whenStopping } from '../../src/model/when-stopping.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Listens and leaves at once; gives what would tell that its act is kept. */
function comeAndGo(signal: AbortSignal): WeakRef<() => void> {
  const act = (): void => assert.fail('it is called though it has left');
  whenStopping(signal, act)();
  return new WeakRef(act);
}

describe('what is called when the process stops', () => {
  it('is what listens then, once, and not what has left; the signal has one listener for all', () => {
    const stopping = new AbortController();
    const called: string[] = [];
    const listen = (name: string): (() => void) => whenStopping(stopping.signal, () => called.push(name));
    listen('a');
    const leave = listen('b');
    listen('c');
    leave();
    leave();
    assert.equal(getEventListeners(stopping.signal, 'abort').length, 1);
    assert.deepEqual(called, []);
    stopping.abort();
    stopping.signal.dispatchEvent(new Event('abort'));
    assert.deepEqual(called, ['a', 'c']);
  });

  it('is nothing where it has stopped already, whoever has listened before', () => {
    for (const isKnown of [false, true]) {
      const stopping = new AbortController();
      let before = 0;
      if (isKnown) whenStopping(stopping.signal, () => (before += 1));
      stopping.abort();
      whenStopping(stopping.signal, () => assert.fail('it is called'))();
      assert.equal(before, isKnown ? 1 : 0);
    }
  });

  it('is kept of nobody who has left', async () => {
    const { signal } = new AbortController();
    const left = Array.from({ length: 20 }, () => comeAndGo(signal));
    await new Promise(setImmediate);
    collectGarbage();
    assert.deepEqual(
      left.map((act) => act.deref()),
      left.map(() => undefined),
    );
    // Until here the signal is there, and with it what it keeps.
    assert.equal(signal.aborted, false);
  });
});
