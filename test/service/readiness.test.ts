import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Principal } from '../../src/model/principal.js';
import type { ServiceDeps } from '../../src/service/deps.js';
import { readReadiness } from '../../src/service/readiness.js';

const unset = {
  ...{ of: 'channel', name: 'ops', environment: null, reference: 'env://SLACK_SIGNING' },
  place: { file: 'notifications.yaml', line: 7 },
};
const deps = {
  pool: { query: () => Promise.resolve({ rows: [], rowCount: 0 }) },
  client: { health: () => Promise.resolve({ temporal: true, worker: true }) },
  engines: { unserved: () => Promise.resolve([]) },
  policies: { policySet: () => Promise.resolve(null), references: () => [unset] },
  references: { env: {}, secretsDirectory: null },
} as unknown as ServiceDeps;

describe('the references without a value, in what is said of readiness,', () => {
  const lea: Principal = { id: 'lea', kind: 'human', roles: [], permissions: ['run.operate'] };
  const told = async (principal: Principal | null): Promise<readonly string[]> =>
    (await readReadiness(deps, () => Promise.resolve(principal))).body.warnings ?? [];

  it('are listed for operators alone, and not for a service that acts for one', async () => {
    const [line = ''] = await told(lea);
    assert.match(line, /notifications\.yaml:7.*SLACK_SIGNING/);
    for (const other of [null, { ...lea, permissions: ['run.read'] }, { ...lea, actedBy: 'helpdesk' }]) {
      const [count = ''] = await told(other);
      assert.match(count, /^1 reference of a channel has no value/);
    }
  });
});
