import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { raceKinds } from '../../drill/racing/race.js';
import { runRaceKinds } from '../../drill/racing/run-race.js';
import { renderRacesTable, type KindReport } from '../../drill/table.js';
import { projectRoot } from '../../testing/paths.js';
import { programArgs } from '../../testing/programs.js';

// On the servers of `npm test`: TEST_DATABASE_ADMIN_URL, TEST_TEMPORAL_ADDRESS.

it('races have one outcome each, told to everybody, with one effect at most and a record that agrees', async () => {
  const all = [...raceKinds, ...runRaceKinds];
  const script = [...programArgs('drill/races.ts'), '--races', String(all.length), '--shared'];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  const report = JSON.parse(stdout) as Record<string, any>;
  assert.equal(report['ok'], true, stdout);
  const kinds = Object.values(report['kinds']) as { races: number; outcomes: Record<string, number> }[];
  assert.equal(kinds.length, all.length);
  for (const { races, outcomes } of kinds) {
    assert.equal(races, 1);
    assert.equal(outcomes['none'], undefined);
  }
  const shown = renderRacesTable(report['kinds'] as Record<string, KindReport>, { loserNotTold: 0 });
  for (const { name } of all) assert.ok(shown.includes(`\n| ${name} | 1 | `), shown);
});
