import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const positive = z.number().positive();
const measured = z.strictObject({
  opsPerSecond: positive,
  rounds: z.array(positive).length(2),
  ns: z.strictObject({ p50: positive, p99: positive, p999: positive }),
  calls: positive,
});
const said = z.record(
  z.string(),
  z.strictObject({ verdict: z.enum(['pass', 'fail', 'error']), why: z.string().optional() }),
);
const report = z.strictObject({
  machine: z.record(z.string(), z.unknown()),
  sizes: z.strictObject({ iterations: z.literal(200), rounds: z.literal(2) }),
  peers: z.record(z.string(), z.string()),
  clockNs: z.record(z.string(), z.number()),
  results: z.record(z.string(), measured),
  signatureNs: z.strictObject({ p50: positive, p99: positive, count: z.literal(200) }),
  aims: z.strictObject({
    notSlowerThanCelJs: z.boolean().nullable(),
    policyCheckP99Under50us: z.boolean(),
  }),
  verdicts: z.strictObject({
    agree: z.literal(true),
    questions: z.array(
      z.strictObject({
        question: z.string(),
        permitted: z.boolean(),
        agree: z.literal(true),
        sameKind: z.boolean(),
        said,
      }),
    ),
    prohibition: z.array(z.strictObject({ question: z.string(), said })),
  }),
});

const peersThere = existsSync(join(projectRoot, 'bench', 'peers', 'engine', 'node_modules'));

async function bench(...options: readonly string[]): Promise<string> {
  const node = ['--no-turbo-inline-js-wasm-calls', '--import', 'tsx'];
  const script = [...node, join('bench', 'engine', 'run.ts'), '--rounds', '2', ...options];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  return stdout;
}

it('the benchmark of the engine measures it, with the peers where they are installed, and all give the same verdicts', async () => {
  const stdout = await bench('--iterations', '200', ...(peersThere ? [] : ['--no-peers']));
  const { results, verdicts, peers } = report.parse(JSON.parse(stdout));
  const ours = ['oneGuard', 'tenGuards', 'rule', 'ruleRefused', 'policyCheck', 'chainOfTen'];
  for (const name of ours) assert.ok(results[`${name}/countersign`], name);
  for (const name of Object.keys(peers)) assert.ok(results[`rule/${name}`], name);
  assert.equal(Object.keys(peers).length, peersThere ? 2 : 0);

  const kinds = (question: string) =>
    [...verdicts.questions, ...verdicts.prohibition].find((one) => one.question === question)!.said;
  assert.equal(kinds('all five hold')['countersign']!.verdict, 'pass');
  assert.equal(kinds('amount missing')['countersign']!.verdict, 'error');
  assert.deepEqual(
    verdicts.prohibition.map((one) => one.said['countersign']!.verdict),
    ['pass', 'fail', 'error', 'error'],
  );
});

it('the table for the documentation has a row for each measurement', async () => {
  const stdout = await bench('--iterations', '20', '--no-peers', '--markdown');
  const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
  assert.equal(rows.length, 1 + 10);
  assert.match(stdout, /\| the rule, permitted \| countersign \| [\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+ \|/);
});
