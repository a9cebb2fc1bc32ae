import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadFiles } from '../load.js';

// Nobody is asked to approve a call that can never be made: an address that is private on its face is told when it is loaded.

async function warnings(connections: string): Promise<readonly string[]> {
  const loaded = await loadFiles({ 'connections.yaml': `connections: ${connections}` });
  assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
  return loaded.warnings.map(({ code, path, message }) => `${code} ${path} ${message}`);
}

const hosts = [
  '127.0.0.1:9101',
  'localhost',
  'LOCALHOST.:80',
  '10.1.2.3',
  '192.168.0.1',
  '[::1]:80',
  '127.1',
];

describe('a connection to a private address that does not say so', () => {
  for (const host of hosts)
    it(`is warned of, with what to write: ${host}`, async () => {
      const rest = await warnings(`{ a: { kind: rest, baseUrl: "http://${host}" } }`);
      assert.equal(rest.length, 1);
      assert.match(rest[0] ?? '', /^PRIVATE_ADDRESS \/connections\/a\/baseUrl .*write `allowPrivate: true`/);
      const mcp = await warnings(
        `{ a: { environments: { dev: { kind: mcp, url: "http://${host}/mcp" } } } }`,
      );
      assert.equal(mcp.length, 1);
      assert.match(mcp[0] ?? '', /^PRIVATE_ADDRESS \/connections\/a\/environments\/dev\/url `url` is /);
    });

  it('is not warned of where it says so, is public, or is not known before it is asked for', async () => {
    for (const target of [
      ...hosts.map((host) => `{ kind: rest, baseUrl: "http://${host}", allowPrivate: true }`),
      ...['https://erp.example', 'http://8.8.8.8', 'http://intranet', 'env://ERP_URL'].map(
        (url) => `{ kind: rest, baseUrl: "${url}" }`,
      ),
      '{ kind: cli, command: localhost }',
    ])
      assert.deepEqual(await warnings(`{ a: ${target} }`), [], target);
  });
});
