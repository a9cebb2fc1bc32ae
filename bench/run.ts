import type { Pool } from '../src/db/index.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { connectHandwritten, makeHandwrittenTables, type Handwritten } from './handwritten/driver.js';
import { benchPolicies, connectGoverned, namespace, type Governed } from './governed.js';
import { describeMachine } from './machine.js';
import { measureSides, type Cost } from './loads.js';
import { processorMs } from './measure.js';
import { measureRecovery } from './recovery.js';
import { readOptions, wholeNumber } from './options.js';
import { ratiosOf, renderReport, workerCpu, type Events } from './report.js';
import { sidesOf } from './sides.js';

// `npm run bench [-- --flows 100 --rounds 3 …]` measures the governed flow, the same governance written by hand, and a flow
// without governance, on the same servers, in turn. Prints JSON on stdout, and progress and a table on stderr.

const values = readOptions({
  options: {
    flows: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '32' },
    single: { type: 'string', default: '100' },
    kills: { type: 'string', default: '3' },
    parked: { type: 'string', default: '20' },
  },
});
const sizes = {
  flows: wholeNumber('flows', values.flows),
  rounds: wholeNumber('rounds', values.rounds),
  inFlight: wholeNumber('in-flight', values['in-flight']),
  single: wholeNumber('single', values.single),
  kills: wholeNumber('kills', values.kills, 0),
  parked: wholeNumber('parked', values.parked),
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

type Handwrittens = Readonly<Record<'byHand' | 'bare', Handwritten>>;

/** Reads what Postgres and each process have used so far. */
function costOf(stack: Stack, { byHand, bare }: Handwrittens, pool: Pool): Cost {
  return async () => {
    // A backend of Postgres reports its counts once it has been idle for a second.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const { rows } = await pool.query<{ commits: number; wal: number }>(
      `select xact_commit::int8 as commits, (select wal_bytes::int8 from pg_stat_wal) as wal
         from pg_stat_database where datname = current_database()`,
    );
    const { user, system } = process.cpuUsage();
    return {
      commits: rows[0]?.commits ?? 0,
      walBytes: rows[0]?.wal ?? 0,
      [workerCpu.governed]: processorMs(stack.worker.pid),
      [workerCpu.byHand]: processorMs(byHand.pid),
      [workerCpu.bare]: processorMs(bare.pid),
      apiCpuMs: processorMs(stack.api.pid),
      temporalCpuMs: processorMs(stack.temporal?.pid ?? 0),
      postgresCpuMs: processorMs(stack.postgres?.pid ?? 0),
      clientCpuMs: (user + system) / 1_000,
    };
  };
}

async function countEvents(governed: Governed, { byHand, bare }: Handwrittens): Promise<Events> {
  const parked = await governed.park();
  await governed.approve(parked);
  await governed.ended(parked.run);
  const history = await governed.deps.temporal.workflow.getHandle(parked.run).fetchHistory();
  const count = async (side: Handwritten): Promise<number> => {
    const run = await side.park();
    // Decided only after it has parked: a signal that arrives during the task that parks would save a task.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await side.approve(run);
    await side.ended(run);
    return side.events(run);
  };
  return { governed: history.events?.length ?? 0, byHand: await count(byHand), bare: await count(bare) };
}

async function main(): Promise<void> {
  say('starting Postgres, Temporal, API and worker');
  const stack = await startStack({ own: true, policies: benchPolicies });
  try {
    const governed = await connectGoverned(stack);
    await makeHandwrittenTables(stack);
    const handwritten: Handwrittens = {
      byHand: await connectHandwritten(stack, namespace, 'byHand'),
      bare: await connectHandwritten(stack, namespace, 'bare'),
    };
    const { pool } = governed.deps;
    const sides = sidesOf(governed, handwritten, pool);
    const results = await measureSides(sides, sizes, costOf(stack, handwritten, pool), say);
    const events = await countEvents(governed, handwritten);
    const kills = [];
    for (let left = sizes.kills; left > 0; left -= 1) {
      kills.push(await measureRecovery(stack, governed, sizes.parked));
      say(`kill -9 of the worker: first decision after ${kills.at(-1)?.firstDecisionMs} ms`);
    }
    const ratios = ratiosOf(results);
    const report = { machine: describeMachine(), sizes, ratios, events, ...results, workerKill: kills };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    say(`\n${renderReport(results, events)}`);
    await Promise.all([handwritten.byHand.close(), handwritten.bare.close()]);
    await governed.close();
  } finally {
    await stack.stop();
  }
}

await main();
process.exit(0);
