import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { faults } from '../../drill/judge.js';
import { renderKillTable, type KillReport } from '../../drill/table.js';
import { projectRoot } from '../../testing/paths.js';
import { programArgs } from '../../testing/programs.js';
import { inCampaigns } from '../../testing/samples.js';

const outages = [
  'kill -9 of the worker',
  'kill -9 of the API',
  'a new build deployed',
  'kill -9 of Temporal',
  'kill -9 of Postgres',
];
const underWay = [
  'cancel under way, then kill -9 of the worker',
  'deadline under way, then kill -9 of the worker',
  '30 messages under way, the worker stopped and continued',
];

async function drill(...options: readonly string[]): Promise<Record<string, any>> {
  const script = [...programArgs('drill/kill.ts'), '--parked', '6', ...options];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  const report = JSON.parse(stdout) as Record<string, any>;
  for (const fault of faults) assert.equal(report[fault], 0, stdout);
  const { ok, parked, approved, effects } = report;
  assert.deepEqual({ ok, parked, approved, effects }, { ok: true, parked: 6, approved: 5, effects: 5 });
  assert.equal(report['effectsBeforeAnyDecision'], 0);
  const struck = report['whilePeopleDecide'] as { name: string }[];
  assert.deepEqual(
    struck.map(({ name }) => name),
    outages,
  );
  assert.equal(new Set(Object.values(report['builds'])).size, 3);
  assert.deepEqual(
    (report['underWay'] as { name: string; faults: string[] }[]).map(({ name, faults: found }) => [
      name,
      found,
    ]),
    underWay.map((name) => [name, []]),
  );
  return report;
}

it('the kill drill loses nothing, runs nothing unapproved and nothing twice, whatever is killed and deployed while people decide', async () => {
  const shown = renderKillTable((await drill('--once')) as unknown as KillReport);
  assert.match(shown, /executed exactly once \| 5 of 5 \|\n\| denied, and never executed \| 1 of 1 \|/);
  for (const name of outages) assert.equal(shown.split(`\n| ${name} |`).length, 2);
});

it(
  'and loses nothing that waits through it all, of builds made of changed sources',
  inCampaigns,
  async () => {
    const report = await drill();
    const stood = report['whileAllWait'] as { name: string; waiting: number }[];
    assert.deepEqual(
      stood.map(({ name, waiting }) => [name, waiting]),
      outages.map((name) => [name, 6]),
    );
    const shown = renderKillTable(report as unknown as KillReport);
    for (const name of outages) assert.equal(shown.split(`\n| ${name} |`).length, 3);
  },
);
