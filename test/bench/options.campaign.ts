import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

describe('the options of benchmarks and drills', () => {
  const run = (script: string, ...args: string[]): { status: number | null; stderr: string } => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(projectRoot, script), ...args],
      { cwd: projectRoot, encoding: 'utf8', timeout: 60_000 },
    );
    return { status, stderr };
  };

  it('are refused where they cannot be read: a smaller run that passes would be no result', () => {
    for (const [script, option, given, says] of [
      ['drill/kill.ts', 'parked', 'abc', /--parked is `abc`: give a whole number of at least 6/],
      ['drill/races.ts', 'races', '1e3', /--races is `1e3`: give a whole number of at least 1/],
      ['drill/fuzz.ts', 'requests', '', /--requests is ``/],
      ['bench/approvals.ts', 'minutes', 'x', /--minutes is `x`: give a number above 0/],
    ] as const) {
      const { status, stderr } = run(script, `--${option}=${given}`);
      assert.equal(status, 2, stderr);
      assert.match(stderr, says);
    }
  });

  it('are named where one does not exist, without a stack trace', () => {
    const { status, stderr } = run('drill/races.ts', '--race=10');
    assert.equal(status, 2);
    assert.match(stderr, /--races, --at-once, --seed, --shared, --markdown/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
});
