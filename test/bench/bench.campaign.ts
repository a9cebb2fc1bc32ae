import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const spread = z.strictObject({ p50: z.number(), p99: z.number(), count: z.number().positive() });
const latency = z.strictObject({ startToParkedMs: spread, decideToNextStepMs: spread });
const side = z.strictObject({
  flowsPerSecond: z.number().positive(),
  rounds: z.array(z.number().positive()),
  perFlow: z.record(z.string(), z.number()),
  loaded: latency,
  single: latency,
});
const report = z.strictObject({
  machine: z.record(z.string(), z.unknown()),
  sizes: z.record(z.string(), z.number()),
  ratio: z.number().positive(),
  events: z.strictObject({ governed: z.literal(24), bare: z.literal(15) }),
  governed: side,
  bare: side,
  workerKill: z
    .array(
      z.strictObject({
        firstDecisionMs: z.number().positive(),
        allDecisionsMs: z.number().positive(),
        decisions: z.literal(2),
      }),
    )
    .length(1),
});

it('the benchmark measures both flows on the same servers, counts their events, and prints JSON alone', async () => {
  const sizes = ['--flows', '4', '--rounds', '1', '--in-flight', '2', '--single', '2', '--parked', '2'];
  const script = ['--import', 'tsx', join('bench', 'run.ts'), ...sizes, '--kills', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  report.parse(JSON.parse(stdout));
  assert.ok(stdout.endsWith('}\n'));
});
