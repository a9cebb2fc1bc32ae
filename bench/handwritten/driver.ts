import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { newId } from '../../src/model/names/ids.js';
import { preloads } from '../../src/processes/child.js';
import { projectRoot } from '../../testing/paths.js';
import type { Stack } from '../../testing/servers/stack.js';
import type { Asked } from './activities.js';

export interface Handwritten {
  readonly pid: number;
  /** Starts a run; resolves when it waits for its decision. */
  park(): Promise<string>;
  approve(run: string): Promise<void>;
  ended(run: string): Promise<void>;
  events(run: string): Promise<number>;
  close(): Promise<void>;
}

const asked: Asked = { transition: 'release', requestedBy: 'bench.agent', role: 'finance.controller' };

/** Makes the tables in which both hand-written flows keep their rows. */
export async function makeHandwrittenTables({ databaseUrl }: Pick<Stack, 'databaseUrl'>): Promise<void> {
  const admin = new pg.Client({ connectionString: databaseUrl });
  await admin.connect();
  await admin.query(
    `create table hand_audit (id bigint generated always as identity primary key, run text, time timestamptz, what text, detail text);
     create table hand_policy (transition text, role text, primary key (transition, role));
     create table hand_approval (run text primary key, transition text, role text, requested_by text, status text);
     grant insert, select on hand_audit, hand_policy, hand_approval to countersign_app`,
  );
  await admin.query('insert into hand_policy values ($1, $2)', [asked.transition, asked.role]);
  await admin.end();
}

/** A hand-written flow on the servers of the stack, with a worker of its own. */
export async function connectHandwritten(
  stack: Stack,
  namespace: string,
  type: 'bare' | 'byHand',
): Promise<Handwritten> {
  const taskQueue = `bench-${type}`;
  const child = startWorker([stack.temporalAddress, stack.databaseUrl, namespace, taskQueue]);
  const waiting = new Map<string, () => void>();
  const gone = new Promise<never>((_, reject) =>
    child.once('exit', (code) => reject(new Error(`the worker of \`${type}\` ended with ${String(code)}`))),
  );
  gone.catch(() => undefined);
  const working = new Promise<void>((resolve) => waiting.set('working', resolve));
  if (child.stdout !== null)
    createInterface(child.stdout).on('line', (line) => waiting.get(line.replace('waiting ', ''))?.());
  await Promise.race([working, gone]);
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const { workflow } = new Client({ connection, namespace });
  return {
    pid: child.pid ?? 0,
    async park() {
      const workflowId = newId('run').replace('run_', `${type}_`);
      const waits = new Promise<void>((resolve) => waiting.set(workflowId, resolve));
      await workflow.start(type, { workflowId, taskQueue, args: type === 'bare' ? [] : [asked] });
      await Promise.race([waits, gone]);
      waiting.delete(workflowId);
      return workflowId;
    },
    approve: (run) => workflow.getHandle(run).signal('decide', 'approve'),
    ended: async (run) => void (await workflow.getHandle(run).result()),
    events: async (run) => (await workflow.getHandle(run).fetchHistory()).events?.length ?? 0,
    async close() {
      await connection.close();
      child.kill('SIGTERM');
      await gone.catch(() => undefined);
    },
  };
}

/** Loads the same modules ahead as the product's own processes do. */
function startWorker(args: readonly string[]): ChildProcess {
  const own = preloads.flatMap((file) => ['--import', join(projectRoot, 'dist', 'processes', file)]);
  const script = fileURLToPath(new URL('./worker.ts', import.meta.url));
  // Tied to the benchmark by its stdin: it ends when the benchmark ends, for whatever reason.
  const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
  return spawn(process.execPath, [...own, '--import', 'tsx', script, ...args], { stdio });
}
