import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiDeps } from '../../../src/api/index.js';
import { linksOf } from '../../../src/service/runs/links.js';
import type { RunStatus } from '../../../src/engine/state.js';
import { documentOf } from '../../../src/store/runs/document.js';
import { sha256Text } from '../../../src/store/text.js';
import { plan, state, transition } from '../../engine/build.js';
import { principal } from '../../engine/people.js';
import { begin } from '../../engine/walk.js';
import { runRow } from '../../store/rows.js';

const agent = principal('bot', 'agent');
const of = plan([state('a', [transition('pay', 'b')]), state('b')]);
const body = JSON.stringify(of);
/** The document that the run's last step wrote, by which the run goes on. */
const doc = JSON.stringify({ ...begin(of).run, heldInput: null });
const offered = async (status: RunStatus): Promise<string[]> => {
  const deps = {
    pool: { query: () => Promise.resolve({ rows: [{ body }] }) },
    policies: { policySet: () => Promise.resolve(null) },
    onInternalError: (_what: string, error: unknown) => assert.fail(String(error)),
  } as unknown as ApiDeps;
  const row = runRow('run_1', { doc, status, planHash: sha256Text(body) });
  return (await linksOf(deps, row, documentOf(row), agent)).map(({ rel }) => rel);
};

describe('a run whose row says more than its document', () => {
  it('offers nothing where it is stuck by its row, and what its document offers while it runs', async () => {
    assert.deepEqual([await offered('stuck'), await offered('running')], [[], ['pay']]);
  });
});
