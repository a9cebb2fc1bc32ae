import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { preloads } from '../../src/processes/child.js';
import { projectRoot } from '../support/paths.js';

it('a process of ours does not trace the promises of its threads, which are the workflows', async () => {
  const code = `
    import v8 from 'node:v8';
    import { Worker } from 'node:worker_threads';
    const inThread = 'try { process.getBuiltinModule("v8").promiseHooks.createHook({ init() {} }); console.log("traced"); } catch (error) { console.log(error.message); }';
    v8.promiseHooks.createHook({ init() {} })();
    new Worker(inThread, { eval: true });
  `;
  const imports = preloads.flatMap((file) => ['--import', join(projectRoot, 'dist', 'processes', file)]);
  const args = [...imports, '--input-type=module', '--eval', code];
  // Tied by its stdin, which stays open until it ends.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const written = await text(child.stdout);
  assert.equal(written.trim(), 'promises of workflows are not traced');
});
