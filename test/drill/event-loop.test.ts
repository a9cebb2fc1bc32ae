import assert from 'node:assert/strict';
import { it } from 'node:test';
import { findBlocks, watchEventLoop } from '../../src/processes/watch/loop-watch.js';

it('what a process says of a block of its event loop is what the fuzz drill reads', async (t) => {
  const from = Date.now();
  const line = await new Promise<string>((say) => {
    const watch = watchEventLoop(say).ref();
    t.after(() => clearInterval(watch));
    while (Date.now() < from + 400);
  });
  const [block, ...others] = findBlocks(`before\n${line}\nafter`);
  assert.deepEqual(others, [], line);
  assert.ok(block !== undefined && block.until >= from, line);
});
