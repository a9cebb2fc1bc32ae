import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../../testing/paths.js';
import { startProduct, type Product } from '../../testing/product.js';
import { temporaryFolder } from '../../testing/servers.js';

const run = promisify(execFile);

/** The commands of README's tour, as a reader pastes them: one shell, block after block. */
function tour(): string {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = /^## Tour$([\s\S]*?)^## /m.exec(readme)?.[1] ?? '';
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((one) => one[1]).join('\n');
}

describe("README's tour", () => {
  const home = temporaryFolder('tour');
  let product: Product;
  before(async () => {
    product = await startProduct({ home, args: ['--no-demo'] });
    await product.ready(120_000);
  });
  after(async () => {
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('works when pasted beside a running npm start', async () => {
    const script = `set -eo pipefail\n${tour()}`;
    const env = { ...process.env, COUNTERSIGN_HOME: home };
    const { stdout, stderr } = await run('bash', ['-c', script], { cwd: projectRoot, env, timeout: 120_000 });
    assert.match(stdout, /executed erp\.payment\.draft/);
    assert.match(stdout, /blocked, as the charter says/);
    assert.match(stdout, /waits for approval apr_\w+ for finance\.controller/);
    assert.match(stdout, /an agent cannot take a human's step/);
    assert.match(stderr, /ACTOR_MISMATCH: `approve_to_finance` is not for `agent`/);
    assert.equal([...stdout.matchAll(/run\.completed/g)].length, 2, stdout);
    assert.match(stdout, /"status": ?"completed"/);
  });
});
