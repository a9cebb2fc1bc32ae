import { rounded, runConcurrently, spread, type Spread } from './measure.js';
import type { Side, SideName } from './sides.js';

export interface Sizes {
  readonly flows: number;
  readonly rounds: number;
  readonly inFlight: number;
  readonly single: number;
}

/** Costs by name: commits and WAL of Postgres, processor time of each process. */
export type Amounts = Readonly<Record<string, number>>;
export type Cost = () => Promise<Amounts>;

interface Latency {
  readonly startToParkedMs: Spread;
  readonly decideToNextStepMs: Spread;
}

export interface SideReport {
  readonly flowsPerSecond: number;
  readonly parkedPerSecond: number;
  readonly rounds: { readonly flows: readonly number[]; readonly parked: readonly number[] };
  /** What one flow cost in the last round. */
  readonly perFlow: Amounts;
  readonly perParkedStart: Amounts;
  readonly loaded: Latency;
  readonly single: Latency;
}

interface Seen {
  readonly parked: number[];
  readonly decided: Map<string, number>;
}

interface Load {
  readonly flows: number[];
  readonly parked: number[];
  readonly seen: Seen;
  perFlow: Amounts;
  perParkedStart: Amounts;
}

const newSeen = (): Seen => ({ parked: [], decided: new Map() });

async function runFlow(side: Side, seen: Seen): Promise<void> {
  const started = performance.now();
  const parked = await side.park();
  seen.parked.push(performance.now() - started);
  seen.decided.set(parked.id, Date.now());
  await parked.approve();
  await side.ended(parked.id);
}

async function measureLatency(side: Side, { parked, decided }: Seen): Promise<Latency> {
  const steps = await side.stepTimes([...decided.keys()]);
  const waits = [...decided].map(([id, at]) => (steps.get(id) ?? Number.NaN) - at);
  return { startToParkedMs: spread(parked), decideToNextStepMs: spread(waits) };
}

async function measureTask(
  { flows, inFlight }: Sizes,
  readCost: Cost,
  task: () => Promise<unknown>,
): Promise<{ readonly perSecond: number; readonly each: Amounts }> {
  const before = await readCost();
  const seconds = await runConcurrently(flows, inFlight, task);
  const after = await readCost();
  const each = Object.entries(after).map(([key, value]) => [
    key,
    rounded((value - (before[key] ?? 0)) / flows),
  ]);
  return { perSecond: rounded(flows / seconds), each: Object.fromEntries(each) as Amounts };
}

/** Measures parking `flows` runs, ends these runs unmeasured, and then measures as many whole flows. */
async function runRound(side: Side, load: Load, sizes: Sizes, readCost: Cost): Promise<string> {
  const waiting: Awaited<ReturnType<Side['park']>>[] = [];
  const parked = await measureTask(sizes, readCost, async () => void waiting.push(await side.park()));
  await runConcurrently(sizes.flows, sizes.inFlight, async () => {
    const next = waiting.pop();
    await next?.approve();
    if (next !== undefined) await side.ended(next.id);
  });
  const whole = await measureTask(sizes, readCost, () => runFlow(side, load.seen));
  load.parked.push(parked.perSecond);
  load.flows.push(whole.perSecond);
  load.perParkedStart = parked.each;
  load.perFlow = whole.each;
  return `${side.name}: ${parked.perSecond} parked starts and ${whole.perSecond} flows a second`;
}

/** Measures each side in turn, in each round. */
export async function measureSides(
  sides: readonly Side[],
  sizes: Sizes,
  readCost: Cost,
  say: (line: string) => void,
): Promise<Record<SideName, SideReport>> {
  const none: Amounts = {};
  const loads = sides.map((side): [Side, Load] => [
    side,
    { flows: [], parked: [], seen: newSeen(), perFlow: none, perParkedStart: none },
  ]);
  for (const side of sides)
    await runConcurrently(Math.min(sizes.flows, 64), sizes.inFlight, () => runFlow(side, newSeen()));
  for (let left = sizes.rounds; left > 0; left -= 1)
    for (const [side, load] of loads) say(await runRound(side, load, sizes, readCost));
  const reports: [SideName, SideReport][] = [];
  for (const [side, load] of loads) {
    const single = newSeen();
    await runConcurrently(sizes.single, 1, () => runFlow(side, single));
    say(`${side.name}: ${sizes.single} flows measured one by one`);
    reports.push([
      side.name,
      {
        flowsPerSecond: spread(load.flows).p50,
        parkedPerSecond: spread(load.parked).p50,
        rounds: { flows: load.flows, parked: load.parked },
        perFlow: load.perFlow,
        perParkedStart: load.perParkedStart,
        loaded: await measureLatency(side, load.seen),
        single: await measureLatency(side, single),
      },
    ]);
  }
  return Object.fromEntries(reports) as Record<SideName, SideReport>;
}
