import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { preloads } from '../../src/processes/child.js';
import { projectRoot } from '../../testing/paths.js';

it('the threads of a process of ours, which run the workflows, keep no trace of promises, and keep scopes', async () => {
  const inThread = `
    import { AsyncLocalStorage } from 'node:async_hooks';
    import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';
    globalHandlers.install();
    const scope = new AsyncLocalStorage();
    scope.run('kept', async () => {
      await null;
      console.log(JSON.stringify({ traced: globalHandlers.promiseHookInstalled, scope: scope.getStore() }));
    });
  `;
  const code = `
    import { Worker } from 'node:worker_threads';
    new Worker(${JSON.stringify(inThread)}, { eval: true });
  `;
  const imports = preloads.flatMap((file) => ['--import', join(projectRoot, 'dist', 'processes', file)]);
  const args = [...imports, '--input-type=module', '--eval', code];
  // Tied by its stdin, which stays open until it ends.
  const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ['pipe', 'pipe', 'inherit'] });
  assert.deepEqual(JSON.parse(await text(child.stdout)), { traced: false, scope: 'kept' });
});
