// Mostly waits: for servers that do not answer.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { placeOf } from '../../src/processes/servers.js';
import { projectRoot } from '../../testing/paths.js';
import { inCampaigns } from '../../testing/samples.js';
import { startProduct, type Product } from '../../testing/servers/product.js';
import { makeEmptyDatabase, temporaryFolder, testVariable } from '../../testing/servers/servers.js';

// `npm start` with servers that it is given: it says which ones they are, and what it waits for.

async function withProduct(env: Record<string, string>, look: (product: Product) => Promise<void>) {
  const home = temporaryFolder('away');
  const product = await startProduct({ home, env, args: ['--no-demo'] });
  try {
    await look(product);
  } finally {
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

const nobody = '127.0.0.1:9';

describe('npm start with a server that does not answer', { concurrency: true }, () => {
  it('waits for Postgres and says so, with the logs to look at', inCampaigns, async () => {
    const env = {
      DATABASE_URL: `postgres://${nobody}/x`,
      TEMPORAL_ADDRESS: testVariable('TEST_TEMPORAL_ADDRESS'),
    };
    await withProduct(env, async (product) => {
      await product.line(/^the API waits for Postgres, which does not answer$/m);
      const [said] = await product.line(/^waiting for the API and a worker: .+$/m);
      for (const name of ['api', 'worker'])
        assert.ok(said.includes(join(product.home, 'logs', `${name}.log`)), said);
    });
  });

  it('says which servers it uses, no password, and ends where Temporal does not answer, with what to do', async () => {
    const env = { DATABASE_URL: `postgres://me:secret@${nobody}/shop`, TEMPORAL_ADDRESS: nobody };
    await withProduct(env, async (product) => {
      assert.deepEqual(await product.exited, { code: 1, signal: null });
      const output = product.output();
      assert.match(output, /^using the Postgres of DATABASE_URL \(`127\.0\.0\.1:9\/shop`\)$/m);
      assert.doesNotMatch(output, /secret/);
      assert.match(output, /^using the Temporal of TEMPORAL_ADDRESS \(`127\.0\.0\.1:9`\)$/m);
      assert.match(
        output,
        /^Temporal at `127\.0\.0\.1:9` does not answer as it should \(.+\): start it, or correct or unset TEMPORAL_ADDRESS$/m,
      );
      assert.doesNotMatch(output, /\n +at /);
    });
  });
});

it('no part of a password is said, also of a URL in which it is written wrongly', () => {
  const urls = [
    'postgres://u:pa@ss/secret@h/db',
    'postgres://u:pa@ss?secret@h/db',
    'postgres://u:12/secret@h/db',
    'postgres://u:12#secret@h/db',
    'postgres://u:12?secret@h/db',
  ];
  assert.deepEqual(urls.map(placeOf).join(''), '');
  assert.equal(placeOf('postgres://u:secret@h:5/db?options=a'), ' (`h:5/db`)');
});

it('countersign migrate ends where Temporal does not answer, with what to do', inCampaigns, async () => {
  const database = await makeEmptyDatabase();
  const home = temporaryFolder('away');
  const env = {
    ...process.env,
    ...{ DATABASE_URL: database.url, TEMPORAL_ADDRESS: nobody, COUNTERSIGN_HOME: home },
  };
  try {
    const [code, output] = await new Promise<[unknown, string]>((resolve) => {
      const args = [join(projectRoot, 'bin', 'countersign.mjs'), 'migrate'];
      execFile(process.execPath, args, { cwd: projectRoot, env }, (error, stdout, stderr) =>
        resolve([error?.code, stdout + stderr]),
      );
    });
    assert.equal(code, 1, output);
    assert.match(
      output,
      /^Temporal at `127\.0\.0\.1:9` does not answer as it should \(.+\): start it, or correct TEMPORAL_ADDRESS, and run this again$/m,
    );
    assert.doesNotMatch(output, /\n +at /);
  } finally {
    await database.drop();
    rmSync(home, { recursive: true, force: true });
  }
});
