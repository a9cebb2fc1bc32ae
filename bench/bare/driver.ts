import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { newId } from '../../src/model/ids.js';
import type { Stack } from '../../testing/stack.js';

export interface Bare {
  readonly pid: number;
  /** Starts a run; it parks in its first task. */
  park(): Promise<string>;
  approve(run: string): Promise<void>;
  ended(run: string): Promise<void>;
  events(run: string): Promise<number>;
  close(): Promise<void>;
}

const taskQueue = 'bench-bare';

/** The bare flow on the servers of the stack, with a worker of its own. */
export async function connectBare(stack: Stack, namespace: string): Promise<Bare> {
  const admin = new pg.Client({ connectionString: stack.databaseUrl });
  await admin.connect();
  await admin.query(
    'create table bare_audit (id bigint generated always as identity primary key, run text, time timestamptz, what text)',
  );
  await admin.query('grant insert, select on bare_audit to countersign_app');
  await admin.end();
  const script = fileURLToPath(new URL('./worker.ts', import.meta.url));
  const args = ['--import', 'tsx', script, stack.temporalAddress, stack.databaseUrl, namespace, taskQueue];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).once('line', () => resolve());
    void gone.then((code) => reject(new Error(`the bare worker ended with ${String(code)}`)));
  });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const { workflow } = new Client({ connection, namespace });
  return {
    pid: child.pid ?? 0,
    async park() {
      const workflowId = newId('run').replace('run_', 'bare_');
      await workflow.start('bare', { workflowId, taskQueue, args: [] });
      return workflowId;
    },
    approve: (run) => workflow.getHandle(run).signal('decide', 'approve'),
    ended: async (run) => void (await workflow.getHandle(run).result()),
    events: async (run) => (await workflow.getHandle(run).fetchHistory()).events?.length ?? 0,
    async close() {
      await connection.close();
      child.kill('SIGTERM');
      await gone;
    },
  };
}
