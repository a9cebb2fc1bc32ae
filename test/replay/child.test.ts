import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type * as Kernel from '../../src/client/replay/replay-kernel.js';
import { projectRoot } from '../../testing/paths.js';

test('a replay that ends in the middle of a history says which it was', async () => {
  const dist = join(projectRoot, 'dist');
  // Built, since it replays in a process of its own.
  const built: unknown = await import(pathToFileURL(join(dist, 'client', 'replay', 'replay-kernel.js')).href);
  const { replayKernel } = built as typeof Kernel;
  const bundle = join(dist, 'workflow-bundle.js');
  assert.deepEqual(await replayKernel({ bundle, run: 'run_1', histories: [[], ['{'], []] }), {
    status: 'differs',
    index: 1,
    detail: 'the replay ended without a result',
  });
});
