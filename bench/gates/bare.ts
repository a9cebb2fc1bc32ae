import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { newId } from '../../src/model/names/ids.js';
import { projectRoot } from '../../testing/paths.js';
import { ownServers } from '../../testing/servers/servers.js';
import { namespace } from '../governed.js';
import { makeChild, type Child } from './child.js';
import { devServerMb } from './governed.js';
import type { Side } from './side.js';

const taskQueue = 'bench-gate';

/** Its workflow is bundled before the worker starts, as the product's is. */
async function makeWorker(args: readonly string[]): Promise<Child> {
  const folder = join(projectRoot, 'bench', 'bare');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(folder, 'gate.ts'),
    logger: new DefaultLogger('WARN'),
  });
  const bundle = join(projectRoot, 'node_modules', '.bench', 'gate-workflow.js');
  mkdirSync(dirname(bundle), { recursive: true });
  writeFileSync(bundle, code);
  return makeChild(join(folder, 'gate-worker.ts'), [...args, bundle]);
}

/** A hand-written workflow that waits for a signal, on a Temporal server of its own. */
export async function startBare(target: string): Promise<Side> {
  const servers = await ownServers(['dev']);
  const { temporal } = servers;
  if (temporal === null) throw new Error('the benchmark needs servers of its own');
  const worker = await makeWorker([servers.temporalAddress, namespace, taskQueue, target]);
  await worker.start();
  const connection = await Connection.connect({ address: servers.temporalAddress });
  const { workflow } = new Client({ connection, namespace });
  return {
    name: 'temporal',
    about: 'a hand-written workflow that waits for a signal; nobody is authenticated, nothing is recorded',
    async park() {
      const workflowId = newId('run').replace('run_', 'bare_');
      const handle = await workflow.start('gate', { workflowId, taskQueue, args: [] });
      return { id: workflowId, decide: () => handle.signal('decide', 'approve') };
    },
    parked: worker.waiting,
    worker,
    processes: () => ({ worker: worker.pid, temporal: temporal.pid }),
    stored: () => Promise.resolve({ temporal: devServerMb(temporal.pid) }),
    async stop() {
      await worker.kill('SIGKILL');
      await connection.close();
      await servers.stop();
    },
  };
}
