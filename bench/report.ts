import { renderTable } from '../drill/table.js';
import type { Amounts, SideReport } from './loads.js';
import { rounded, type Spread } from './measure.js';
import { sideNames, type SideName } from './sides.js';

export type Sides = Readonly<Record<SideName, SideReport>>;
export type Events = Readonly<Record<SideName, number>>;

export interface Ratio {
  readonly toByHand: number;
  readonly toBare: number;
}

/** The ratios of the governed side to each of the others. */
export function ratiosOf(sides: Sides): { readonly flows: Ratio; readonly parkedStarts: Ratio } {
  const ratio = (of: (side: SideReport) => number): Ratio => ({
    toByHand: rounded(of(sides.governed) / of(sides.byHand)),
    toBare: rounded(of(sides.governed) / of(sides.bare)),
  });
  return {
    flows: ratio((side) => side.flowsPerSecond),
    parkedStarts: ratio((side) => side.parkedPerSecond),
  };
}

/** The table of docs/performance.md, which the benchmark also prints for whoever runs it. */
export function renderReport(sides: Sides, events: Events): string {
  const columns = sideNames.map((name) => sides[name]);
  const { flows, parkedStarts } = ratiosOf(sides);
  const rate = (name: string, of: (side: SideReport) => number, ratio: Ratio, aims: string): string[] => [
    name,
    ...columns.map((side) => `${of(side)}`),
    `${ratio.toByHand} (aim 1.5)`,
    `${ratio.toBare} (aim ${aims})`,
  ];
  const line = (name: string, show: (side: SideReport, of: SideName) => string): string[] => [
    name,
    ...sideNames.map((of) => show(sides[of], of)),
    '',
    '',
  ];
  // The last columns divide the other side's processor time by that of the governed side. When all processors are busy, this is the
  // ratio of the rates.
  const costs = (name: string, of: (side: SideReport) => Amounts): string[] => {
    const sums = sideNames.map((side) => sumOf(timesOf(of(sides[side]), side)));
    const [governed = 0, byHand = 0, bare = 0] = sums;
    return [
      name,
      ...sideNames.map((side) => showTimes(timesOf(of(sides[side]), side))),
      `${rounded(byHand / governed)}`,
      `${rounded(bare / governed)}`,
    ];
  };
  const rows = [
    rate('whole flows a second', (side) => side.flowsPerSecond, flows, '0.7'),
    rate('parked starts a second', (side) => side.parkedPerSecond, parkedStarts, '0.75'),
    line('start to parked, one by one, p50 / p99, ms', ({ single }) => both(single.startToParkedMs)),
    line('decide → next step, one by one, p50 / p99, ms', ({ single }) => both(single.decideToNextStepMs)),
    line('events in the history', (_, of) => `${events[of]}`),
    costs('processor time a flow, ms', ({ perFlow }) => perFlow),
    costs('processor time a parked start, ms', ({ perParkedStart }) => perParkedStart),
  ];
  const head = ['', 'governed', 'by hand', 'bare', 'governed ÷ by hand', 'governed ÷ bare'];
  return renderTable(head, rows).join('\n');
}

function both({ p50, p99 }: Spread): string {
  return `${Math.round(p50)} / ${Math.round(p99)}`;
}

/** The name under which the report has the processor time of each side's worker. */
export const workerCpu = { governed: 'workerCpuMs', byHand: 'byHandWorkerCpuMs', bare: 'bareWorkerCpuMs' };

type Times = readonly (readonly [process: string, ms: number])[];

function timesOf(amounts: Amounts, side: SideName): Times {
  const of = {
    worker: workerCpu[side],
    Temporal: 'temporalCpuMs',
    Postgres: 'postgresCpuMs',
    client: 'clientCpuMs',
  };
  return Object.entries(of).map(([name, key]) => [name, amounts[key] ?? 0]);
}

function sumOf(times: Times): number {
  return times.reduce((total, [, ms]) => total + ms, 0);
}

function showTimes(times: Times): string {
  return `${Math.round(sumOf(times))}: ${times.map(([name, ms]) => `${name} ${Math.round(ms)}`).join(', ')}`;
}
