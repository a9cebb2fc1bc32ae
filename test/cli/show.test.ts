import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showRun } from '../../src/cli/show.js';

const run = {
  id: 'run_1',
  flow: 'f',
  flowVersion: 1,
  environment: 'dev',
  status: 'stuck',
  state: 'open',
  version: 3,
} as const;

test('a stuck run says what is left to do with it', () => {
  const problem = { code: 'ON_ENTER_FAILED', message: 'it failed', next: 'a retry tries it again' };
  const shown = showRun({ run: { ...run, problem } });
  assert.ok(shown.includes('problem ON_ENTER_FAILED: it failed'), shown.join('\n'));
  assert.ok(shown.includes('next    a retry tries it again'), shown.join('\n'));
  assert.doesNotMatch(showRun({ run: { ...run, status: 'running' } }).join('\n'), /^next/m);
});
