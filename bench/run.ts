import type { Pool } from '../src/db/index.js';
import { startStack, type Stack } from '../testing/stack.js';
import { connectBare, type Bare } from './bare/driver.js';
import { benchPolicies, connectGoverned, namespace, type Governed } from './governed.js';
import { describeMachine } from './machine.js';
import { processorMs, rounded, spread, runConcurrently } from './measure.js';
import { measureRecovery } from './recovery.js';
import { readOptions, wholeNumber } from './options.js';

// `npm run bench [-- --flows 100 --rounds 3 …]`: the governed flow against a hand-written one on the same servers, in
// turn. JSON on stdout, progress on stderr.

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
  kills: wholeNumber('kills', values.kills),
  parked: wholeNumber('parked', values.parked),
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** One kind of flow, as both are measured. */
interface Side {
  readonly name: 'governed' | 'bare';
  readonly park: () => Promise<{ readonly id: string; approve(): Promise<unknown> }>;
  readonly ended: (id: string) => Promise<void>;
  /** When the step behind the gate began, by the record that it writes. */
  readonly stepTimes: (ids: readonly string[]) => Promise<Map<string, number>>;
}

interface Seen {
  readonly parked: number[];
  readonly decided: Map<string, number>;
}

async function runFlow(side: Side, seen: Seen): Promise<void> {
  const started = performance.now();
  const parked = await side.park();
  seen.parked.push(performance.now() - started);
  seen.decided.set(parked.id, Date.now());
  await parked.approve();
  await side.ended(parked.id);
}

async function measureLatency(side: Side, { parked, decided }: Seen): Promise<object> {
  const steps = await side.stepTimes([...decided.keys()]);
  const waits = [...decided].map(([id, at]) => (steps.get(id) ?? Number.NaN) - at);
  return { startToParkedMs: spread(parked), decideToNextStepMs: spread(waits) };
}

interface Load {
  readonly perSecond: number[];
  readonly seen: Seen;
  cost: object;
}

const newSeen = (): Seen => ({ parked: [], decided: new Map() });

async function runRound(side: Side, load: Load, cost: Cost): Promise<void> {
  const before = await cost();
  const seconds = await runConcurrently(sizes.flows, sizes.inFlight, () => runFlow(side, load.seen));
  const after = await cost();
  load.perSecond.push(rounded(sizes.flows / seconds));
  load.cost = Object.fromEntries(
    Object.entries(after).map(([key, value]) => [key, rounded((value - (before[key] ?? 0)) / sizes.flows)]),
  );
  say(`${side.name}: ${load.perSecond.at(-1)} flows/s`);
}

async function measure(sides: readonly Side[], cost: Cost): Promise<Record<string, object>> {
  const loads = new Map(
    sides.map((side): [Side, Load] => [side, { perSecond: [], seen: newSeen(), cost: {} }]),
  );
  for (const side of sides)
    await runConcurrently(Math.min(sizes.flows, 64), sizes.inFlight, () => runFlow(side, newSeen()));
  for (let left = sizes.rounds; left > 0; left -= 1)
    for (const [side, load] of loads) await runRound(side, load, cost);
  const result: Record<string, object> = {};
  for (const [side, load] of loads) {
    const single = newSeen();
    await runConcurrently(sizes.single, 1, () => runFlow(side, single));
    say(`${side.name}: ${sizes.single} one by one`);
    result[side.name] = {
      flowsPerSecond: spread(load.perSecond).p50,
      rounds: load.perSecond,
      perFlow: load.cost,
      loaded: await measureLatency(side, load.seen),
      single: await measureLatency(side, single),
    };
  }
  return result;
}

type Cost = () => Promise<Record<string, number>>;

/** What a flow costs: commits and WAL of Postgres, processor time of each process. */
function costOf(stack: Stack, bare: Bare, pool: Pool): Cost {
  return async () => {
    // Backends tell their counts when they have been idle for a second.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const { rows } = await pool.query<{ commits: number; wal: number }>(
      `select xact_commit::int8 as commits, (select wal_bytes::int8 from pg_stat_wal) as wal
         from pg_stat_database where datname = current_database()`,
    );
    const { user, system } = process.cpuUsage();
    return {
      commits: rows[0]?.commits ?? 0,
      walBytes: rows[0]?.wal ?? 0,
      workerCpuMs: processorMs(stack.worker.pid),
      bareWorkerCpuMs: processorMs(bare.pid),
      apiCpuMs: processorMs(stack.api.pid),
      temporalCpuMs: processorMs(stack.temporal?.pid ?? 0),
      postgresCpuMs: processorMs(stack.postgres?.pid ?? 0),
      clientCpuMs: (user + system) / 1_000,
    };
  };
}

function sidesOf(governed: Governed, bare: Bare, pool: Pool): readonly [Side, Side] {
  const times = async (sql: string, ids: readonly string[]): Promise<Map<string, number>> => {
    const { rows } = await pool.query<{ run: string; ms: number }>(sql, [ids]);
    return new Map(rows.map((row) => [row.run, Number(row.ms)]));
  };
  return [
    {
      name: 'governed',
      async park() {
        const parked = await governed.park();
        return { id: parked.run, approve: () => governed.approve(parked) };
      },
      ended: governed.ended,
      stepTimes: (ids) =>
        times(
          `select run, extract(epoch from time) * 1000 as ms from audit_record where run = any($1) and type = 'executor.started'`,
          ids,
        ),
    },
    {
      name: 'bare',
      async park() {
        const id = await bare.park();
        return { id, approve: () => bare.approve(id) };
      },
      ended: bare.ended,
      stepTimes: (ids) =>
        times('select run, extract(epoch from time) * 1000 as ms from bare_audit where run = any($1)', ids),
    },
  ];
}

async function eventCounts(governed: Governed, bare: Bare): Promise<{ governed: number; bare: number }> {
  const parked = await governed.park();
  await governed.approve(parked);
  await governed.ended(parked.run);
  const history = await governed.deps.temporal.workflow.getHandle(parked.run).fetchHistory();
  const run = await bare.park();
  // Parked first: a signal that meets the first task saves a task.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await bare.approve(run);
  await bare.ended(run);
  return { governed: history.events?.length ?? 0, bare: await bare.events(run) };
}

async function main(): Promise<void> {
  say('starting Postgres, Temporal, API and worker');
  const stack = await startStack({ own: true, policies: benchPolicies });
  try {
    const governed = await connectGoverned(stack);
    const bare = await connectBare(stack, namespace);
    const { pool } = governed.deps;
    const results = await measure(sidesOf(governed, bare, pool), costOf(stack, bare, pool));
    const events = await eventCounts(governed, bare);
    const kills = [];
    for (let left = sizes.kills; left > 0; left -= 1) {
      kills.push(await measureRecovery(stack, governed, sizes.parked));
      say(`kill -9 of the worker: first decision after ${kills.at(-1)?.firstDecisionMs} ms`);
    }
    const rate = (name: string): number => (results[name] as { flowsPerSecond: number }).flowsPerSecond;
    const ratio = rounded(rate('governed') / rate('bare'));
    const report = { machine: describeMachine(), sizes, ratio, events, ...results, workerKill: kills };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    await bare.close();
    await governed.close();
  } finally {
    await stack.stop();
  }
}

await main();
process.exit(0);
