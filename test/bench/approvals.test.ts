import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { gatesTable, type SideReport } from '../../bench/gates/report.js';
import { projectRoot } from '../support/paths.js';

const positive = z.number().positive();
const tail = z.strictObject({
  ...{ p50: positive, p99: positive, p999: positive, max: positive },
  count: z.literal(8),
});
const decided = z.strictObject({ acceptedMs: tail, nextStepMs: tail });
const row = z.strictObject({
  size: z.literal(18),
  status: z.literal('measured'),
  parked: z.literal(18),
  startsPerSecond: positive,
  memoryMb: z.record(z.string(), positive),
  storedMb: z.record(z.string(), positive),
  warm: decided,
  restartMs: positive,
  afterRestart: decided,
  kills: z.array(z.strictObject({ firstAcceptedMs: positive, firstNextStepMs: positive })).length(1),
});
const side = z.strictObject({
  name: z.string(),
  status: z.literal('measured'),
  about: z.string(),
  rows: z.array(row).length(1),
});
const report = z.strictObject({
  machine: z.record(z.string(), z.unknown()),
  plan: z.record(z.string(), z.unknown()),
  sides: z.array(side),
});

describe('the benchmark of approvals', () => {
  it('parks, weighs, decides, restarts and kills the product and a bare workflow alike, and prints JSON alone', async () => {
    const sizes = ['--parked', '18', '--decisions', '8', '--kills', '1', '--no-peers'];
    const script = ['--import', 'tsx', join('bench', 'approvals.ts'), ...sizes];
    const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
    assert.doesNotMatch(stdout, /"reason"/);
    const { sides } = report.parse(JSON.parse(stdout));
    const measured = sides.map(({ name, rows }) => [name, ...Object.keys(rows[0]?.memoryMb ?? {})]);
    assert.deepEqual(measured, [
      ['countersign', 'worker', 'api', 'temporal', 'postgres'],
      ['temporal', 'worker', 'temporal'],
    ]);
  });

  it('shows an engine that is not there, one that failed and one that ran out of time as such', () => {
    const spread = { p50: 1, p99: 2, p999: 3, max: 4, count: 5 };
    const times = { acceptedMs: spread, nextStepMs: spread };
    const one = {
      ...{ size: 100, status: 'outOfTime' as const, parked: 40, startsPerSecond: 2 },
      ...{ memoryMb: { worker: 10.4 }, storedMb: { postgres: 7 } },
      ...{ warm: times, restartMs: 5, afterRestart: times, kills: [] },
    };
    const sides: SideReport[] = [
      { name: 'slow', status: 'measured', about: '', rows: [one] },
      { name: 'absent', status: 'unavailable', reason: 'no registry' },
      { name: 'broken', status: 'failed', about: '', reason: 'it fell', rows: [] },
    ];
    const shown = gatesTable([100, 200], sides);
    assert.match(shown, /\| parked \| 40, then out of time \| unavailable \| failed \|/);
    assert.match(shown, /\| 200 parked \| slow \| absent \| broken \|\n.*\n\| parked \| not reached \|/);
    assert.match(shown, /\| memory, MB \| worker 10 \|/);
    assert.match(shown, /absent: no registry\nbroken: it fell\n/);
  });
});
