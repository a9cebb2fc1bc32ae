import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

// A small size of `npm run drill:fuzz`. How long an event loop was blocked depends on what else the machine does, so that
// is judged by the drill alone.

it('nonsense, extremes and changed requests kill no process, silence no run, and get no 5xx but the documented ones', async () => {
  const script = ['--import', 'tsx', join('drill', 'fuzz.ts'), '--requests', '600'];
  const stdout = await new Promise<string>((resolve) => {
    // Its status tells of the event loop too.
    execFile(process.execPath, script, { cwd: projectRoot, maxBuffer: 1e8 }, (_error, out) => resolve(out));
  });
  const report = JSON.parse(stdout) as Record<string, any>;
  assert.deepEqual(report['deaths'], { api: 0, worker: 0 }, stdout);
  assert.deepEqual([report['undocumented'], report['unanswered'], report['silentRuns']], [0, 0, []], stdout);
  assert.ok(report['runs'] > 0, stdout);
});
