import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../../../testing/paths.js';

/** For n log n, four times as many take at most 5.3 times the work, from 75 on; for a square it is 16 times. */
const mostGrowth = 5.5;

test('checking a flow takes at most n log n of work, over what reachability may take at most', async (t) => {
  const script = ['--import', 'tsx', join('test', 'policy', 'checker', 'growth.ts')];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  const counts = JSON.parse(stdout) as Record<string, readonly [number, number]>;
  assert.ok(Object.keys(counts).length > 10);
  for (const [title, [quarter, whole]] of Object.entries(counts)) {
    t.diagnostic(`${title}: ${quarter}, then ${whole}, ${(whole / quarter).toFixed(2)} times`);
    assert.ok(quarter > 0 && whole / quarter < mostGrowth, `${title}: ${quarter}, then ${whole}`);
  }
});
