import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const positive = z.number().positive();
const spread = { p50: positive, p99: positive, count: positive };
const report = z.strictObject({
  machine: z.record(z.string(), z.unknown()),
  sizes: z.record(z.string(), z.number()),
  filledSeconds: z.number(),
  reads: z.record(
    z.string(),
    z.strictObject({ ...spread, processorMs: z.number(), statements: positive, rows: positive }),
  ),
  streamed: z.strictObject({ ...spread, statements: positive, streams: z.literal(40) }),
  aim: z.strictObject({ p99Ms: z.literal(50), above: z.array(z.string()) }),
});

it('the benchmark of reads fills a store, reads all that a console does, and tells every stream of every record', async () => {
  const sizes = ['--runs', '1200', '--approvals', '400', '--closed', '200', '--records', '12000'];
  const times = ['--streams', '40', '--times', '5', '--told', '3'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', join('bench', 'reads.ts'), ...sizes, ...times],
    { cwd: projectRoot },
  );
  const { reads, streamed } = report.parse(JSON.parse(stdout));
  assert.equal(Object.keys(reads).length, 17);
  assert.equal(streamed.count, 40 * 3);
  // However many approvals a page has.
  assert.ok(reads['inbox of an approver']!.statements <= 12);
});
