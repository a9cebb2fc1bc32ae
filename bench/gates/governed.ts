import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { decideOn, makePeople, park } from '../../drill/caller.js';
import { projectRoot } from '../../testing/paths.js';
import { startStack } from '../../testing/servers/stack.js';
import { rounded } from '../measure.js';
import type { Megabytes, Side } from './side.js';

/** The product, through its REST API: a run starts with a payment that parks at its gate, and a controller approves it. */
export async function startGoverned(target: string): Promise<Side> {
  const policies = join(projectRoot, 'drill', 'policies');
  const stack = await startStack({ own: true, fsync: true, policies, env: { ERP_URL: target } });
  const { postgres, temporal } = stack;
  if (postgres === null || temporal === null) throw new Error('the benchmark needs servers of its own');
  const { agent, controllers } = await makePeople(stack);
  let count = 0;
  return {
    name: 'countersign',
    about:
      'REST API, signed decision, policy check, five transactions and a chain of records a run, a deadline of 24 h',
    async park() {
      const parked = await park(agent, 'one', 'pay');
      count += 1;
      const key = `bench-${parked.approval}`;
      return {
        id: parked.run,
        async decide() {
          const { status, body } = await decideOn(controllers[0], parked, 'approve', key);
          if (status !== 200 && status !== 202) throw new Error(`${status}: ${JSON.stringify(body)}`);
        },
      };
    },
    parked: () => count,
    worker: { kill: (signal) => stack.worker.kill(signal), start: () => stack.worker.restart() },
    processes: () => ({
      ...{ worker: stack.worker.pid, api: stack.api.pid },
      ...{ temporal: temporal.pid, postgres: postgres.pid },
    }),
    stored: async () => ({
      postgres: await databaseMb(stack.databaseUrl),
      temporal: devServerMb(temporal.pid),
    }),
    stop: stack.stop,
  };
}

export async function databaseMb(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ bytes: string }>(
      'select pg_database_size(current_database()) as bytes',
    );
    return rounded(Number(rows[0]?.bytes ?? 0) / 2 ** 20);
  } finally {
    await client.end();
  }
}

/** The size of a Temporal dev server's SQLite file and its write-ahead log, which the command line of the process names. */
export function devServerMb(pid: number): Megabytes[string] {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const file = args[args.indexOf('--db-filename') + 1] ?? '';
  const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return rounded((size(file) + size(`${file}-wal`)) / 2 ** 20);
}
