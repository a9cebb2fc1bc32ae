import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';
import { programArgs } from '../../testing/programs.js';

// A small size of `npm run drill:fuzz`. Of a block of an event loop only what its own thread worked counts: how long others
// had the machine meanwhile does not. On the servers of `npm test`: TEST_DATABASE_ADMIN_URL, TEST_TEMPORAL_ADDRESS.

it('nonsense, extremes and changed requests kill no process, silence no run, get no 5xx but the documented ones, and no event loop works for 250 ms without a pause', async () => {
  const script = [...programArgs('drill/fuzz.ts'), '--requests', '200', '--shared'];
  const stdout = await new Promise<string>((resolve) => {
    // Its status says the same as its report, and less.
    execFile(process.execPath, script, { cwd: projectRoot, maxBuffer: 1e8 }, (_error, out) => resolve(out));
  });
  const report = JSON.parse(stdout) as Record<string, any>;
  assert.deepEqual(report['deaths'], { api: 0, worker: 0 }, stdout);
  assert.deepEqual([report['undocumented'], report['unanswered'], report['silentRuns']], [0, 0, []], stdout);
  for (const name of ['api', 'worker']) assert.ok(report['blocked'][name].workedMs <= 250, stdout);
  assert.ok(report['runs'] > 0, stdout);
});
