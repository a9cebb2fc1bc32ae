import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../../testing/paths.js';
import { startReadyProduct, type Product } from '../../testing/servers/product.js';

const run = promisify(execFile);

/** The commands of a section of README, as a reader pastes them: block after block. */
function blocksOf(title: string): readonly string[] {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = new RegExp(`^## ${title}$([\\s\\S]*?)^## `, 'm').exec(readme)?.[1] ?? '';
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
}

describe("README's tour", () => {
  let product: Product;
  before(async () => {
    product = await startReadyProduct('tour');
  });
  after(() => product.stop());

  const paste = (blocks: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
    run('bash', ['-c', ['set -eo pipefail', ...blocks].join('\n')], {
      cwd: projectRoot,
      env: { ...process.env, COUNTERSIGN_HOME: product.home },
      timeout: 240_000,
    });

  it('works when pasted beside a running npm start', async () => {
    const { stdout, stderr } = await paste(blocksOf('Tour'));
    assert.match(stdout, /executed erp\.payment\.draft/);
    assert.match(stdout, /blocked, as the charter says/);
    assert.match(stdout, /waits for approval apr_\w+ for finance\.controller/);
    assert.match(stdout, /an agent cannot take a human's step/);
    assert.match(stderr, /ACTOR_MISMATCH: `approve_to_finance` is not for `agent`/);
    assert.equal([...stdout.matchAll(/run\.completed/g)].length, 2, stdout);
    assert.match(stdout, /"status": ?"completed"/);
    const [records = '', reconstruction = ''] = stdout.split('"actions":[');
    assert.doesNotMatch(records.slice(records.indexOf('run.completed')), /INV-2041/);
    assert.match(reconstruction, /"amount":60000.*"reason":"invoice INV-2041 matches"/);
    assert.match(stdout, /\* approve by `ann`: accepted/);
  });

  it("gives a person of one's own a key and loads a folder again, in a shell that knows the data folder alone", async () => {
    const [, beside = ''] = blocksOf('Your own policies');
    const { stdout } = await paste([beside]);
    assert.match(stdout, /"id":"ann".*"roles":\["release.manager"\]/);
    assert.match(stdout, /"flows":/);
    const said = `commands       npx countersign --help, in the folder ${projectRoot}\n`;
    assert.ok(product.output().includes(said), product.output());
  });
});
