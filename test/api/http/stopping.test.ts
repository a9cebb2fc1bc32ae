import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlessStopped } from '../../../src/api/http/stopping.js';
import { answer, type Reply } from '../../../src/api/http/call.js';

describe('a request of a process that is told to stop', () => {
  it('is cut off five seconds later, and not where it was answered before', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const stopping = new AbortController();
    let cuts = 0;
    const cut = (): Reply => {
      cuts += 1;
      return answer(503);
    };
    const answered = await unlessStopped(stopping.signal, Promise.resolve(answer(200)), cut);
    await new Promise(setImmediate);
    const waiting = unlessStopped(stopping.signal, new Promise(() => undefined), cut);
    stopping.abort();
    t.mock.timers.tick(5_000);
    assert.deepEqual([answered, await waiting, cuts], [answer(200), answer(503), 1]);
  });
});
