import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const spread = z.strictObject({ p50: z.number(), p99: z.number(), count: z.number().positive() });
const rates = z.array(z.number().positive());
const ratio = z.strictObject({ toByHand: z.number().positive(), toBare: z.number().positive() });
const latency = z.strictObject({ startToParkedMs: spread, decideToNextStepMs: spread });
const side = z.strictObject({
  flowsPerSecond: z.number().positive(),
  parkedPerSecond: z.number().positive(),
  rounds: z.strictObject({ flows: rates, parked: rates }),
  perFlow: z.record(z.string(), z.number()),
  perParkedStart: z.record(z.string(), z.number()),
  loaded: latency,
  single: latency,
});
const report = z.strictObject({
  machine: z.record(z.string(), z.unknown()),
  sizes: z.record(z.string(), z.number()),
  ratios: z.strictObject({ flows: ratio, parkedStarts: ratio }),
  events: z.strictObject({ governed: z.literal(20), byHand: z.literal(39), bare: z.literal(15) }),
  governed: side,
  byHand: side,
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

it('the benchmark measures three flows on the same servers, counts their events, prints JSON alone, and ends with a table', async () => {
  const sizes = ['--flows', '4', '--rounds', '1', '--in-flight', '2', '--single', '2', '--parked', '2'];
  const script = ['--import', 'tsx', join('bench', 'run.ts'), ...sizes, '--kills', '1'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  report.parse(JSON.parse(stdout));
  assert.ok(stdout.endsWith('}\n'));
  assert.match(stderr, /governed ÷ by hand/);
});
