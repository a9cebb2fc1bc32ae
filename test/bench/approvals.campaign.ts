import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { renderGatesTable, type SideReport } from '../../bench/gates/report.js';
import { processTree } from '../../bench/measure.js';
import { projectRoot } from '../../testing/paths.js';
import { until } from '../../testing/until.js';

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
  startCpuMs: z.record(z.string(), z.number().nonnegative()),
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

const peersThere = existsSync(join(projectRoot, 'bench', 'peers', 'node_modules', '@restatedev'));
const script = ['--import', 'tsx', join('bench', 'approvals.ts')];
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe('the benchmark of approvals', () => {
  it('parks, weighs, decides, restarts and kills all sides alike, the peers where they are installed, and prints JSON alone', async () => {
    const sizes = [
      '--parked',
      '18',
      '--decisions',
      '8',
      '--kills',
      '1',
      ...(peersThere ? [] : ['--no-peers']),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, [...script, ...sizes], {
      cwd: projectRoot,
    });
    assert.doesNotMatch(stdout, /"reason"/);
    const { sides } = report.parse(JSON.parse(stdout));
    const measured = sides.map(({ name, rows }) => [name, ...Object.keys(rows[0]?.memoryMb ?? {})]);
    assert.deepEqual(measured, [
      ['countersign', 'worker', 'api', 'temporal', 'postgres'],
      ['temporal', 'worker', 'temporal'],
      ...(peersThere
        ? [
            ['restate', 'worker', 'restate'],
            ['dbos', 'worker', 'door', 'postgres'],
          ]
        : []),
    ]);
  });

  it('stops all that it has started when it is interrupted, and prints what it has', async () => {
    const sizes = ['--parked', '100000', '--sides', 'temporal'];
    const child = spawn(process.execPath, [...script, ...sizes], {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let told = '';
    let printed = '';
    child.stdout.on('data', (bytes) => (printed += String(bytes)));
    let started: readonly number[] = [];
    const pid = child.pid ?? 0;
    child.stderr.on('data', (bytes) => {
      told += String(bytes);
      if (started.length > 0 || !told.includes('temporal: working')) return;
      started = processTree(pid);
      child.kill('SIGINT');
    });
    assert.equal(await ended, 130, told);
    assert.ok(started.length > 3, 'a server behind its guard and a worker had been started');
    await until('all of them to be gone', () => (started.some(isAlive) ? null : true), 10_000);
    assert.match(printed, /"status": "failed",[^}]*"reason": "Error: interrupted by SIGINT"/);
  });

  it('asks for sides that there are', async () => {
    const call = promisify(execFile)(process.execPath, [...script, '--sides', 'restat'], {
      cwd: projectRoot,
    });
    await assert.rejects(
      call,
      /there is no side `restat`: give some of countersign, temporal, restate, dbos/,
    );
  });

  it('shows an engine that is not there, one that failed and one that ran out of time as such', () => {
    const spread = { p50: 1, p99: 2, p999: 3, max: 4, count: 5 };
    const times = { acceptedMs: spread, nextStepMs: spread };
    const one = {
      ...{
        size: 100,
        status: 'outOfTime' as const,
        parked: 40,
        startsPerSecond: 2,
        startCpuMs: { worker: 9.6 },
      },
      ...{ memoryMb: { worker: 10.4 }, storedMb: { postgres: 7 } },
      ...{ warm: times, restartMs: 5, afterRestart: times, kills: [] },
    };
    const sides: SideReport[] = [
      { name: 'slow', status: 'measured', about: '', rows: [one] },
      { name: 'absent', status: 'unavailable', reason: 'no registry' },
      { name: 'broken', status: 'failed', about: '', reason: 'it fell', rows: [] },
    ];
    const shown = renderGatesTable([100, 200], sides);
    assert.match(shown, /\| parked \| 40, then out of time \| unavailable \| failed \|/);
    assert.match(shown, /\| 200 parked \| slow \| absent \| broken \|\n.*\n\| parked \| not reached \|/);
    assert.match(shown, /\| processor time a start, ms \| worker 10 \|/);
    assert.match(shown, /\| memory, MB \| worker 10 \|/);
    assert.match(shown, /\| decided, warm and after a restart \| 5, 5 \|/);
    assert.match(shown, /absent: no registry\nbroken: it fell\n/);
  });
});
