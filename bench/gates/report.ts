import { renderTable } from '../../drill/table.js';
import type { Tail } from '../measure.js';
import type { Row } from './measure.js';
import type { Megabytes } from './side.js';

export type SideReport =
  | {
      readonly name: string;
      readonly status: 'measured';
      readonly about: string;
      readonly rows: readonly Row[];
    }
  /** It could not be started. */
  | { readonly name: string; readonly status: 'unavailable'; readonly reason: string }
  /** It was started and failed later; it has the rows that were measured before. */
  | {
      readonly name: string;
      readonly status: 'failed';
      readonly about: string;
      readonly reason: string;
      readonly rows: readonly Row[];
    };

/** The tables of docs/performance.md: a table for each size, with a column for each engine. */
export function renderGatesTable(sizes: readonly number[], sides: readonly SideReport[]): string {
  const lines = sizes.flatMap((size) => renderSizeTable(size, sides));
  const notes = sides.flatMap((side) => (side.status === 'measured' ? [] : [`${side.name}: ${side.reason}`]));
  return [...lines, ...notes, ''].join('\n');
}

function renderSizeTable(size: number, sides: readonly SideReport[]): string[] {
  const columns = sides.map((side) => {
    const row = side.status === 'unavailable' ? undefined : side.rows.find((each) => each.size === size);
    const absent = side.status === 'measured' ? 'not reached' : side.status;
    return (show: (row: Row) => string): string => (row === undefined ? absent : show(row));
  });
  const line = (name: string, show: (row: Row) => string): string[] => [
    name,
    ...columns.map((column) => column(show)),
  ];
  const decided = (name: string, of: (row: Row) => Tail): string[] => line(name, (row) => spreadOf(of(row)));
  const rows = [
    line('parked', statusOf),
    line('start to parked, runs a second', (row) => whole(row.startsPerSecond)),
    line('processor time a start, ms', (row) => amounts(row.startCpuMs)),
    line('memory, MB', (row) => amounts(row.memoryMb)),
    line('on disk, MB', (row) => amounts(row.storedMb)),
    line(
      'decided, warm and after a restart',
      (row) => `${row.warm.acceptedMs.count}, ${row.afterRestart.acceptedMs.count}`,
    ),
    decided('decide → accepted, warm, p50 / p99 / p99.9', (row) => row.warm.acceptedMs),
    decided('decide → next step, warm', (row) => row.warm.nextStepMs),
    line('restart of the worker until it works', (row) => `${whole(row.restartMs)} ms`),
    decided('decide → accepted, after a restart', (row) => row.afterRestart.acceptedMs),
    decided('decide → next step, after a restart', (row) => row.afterRestart.nextStepMs),
    line(
      '`kill -9` of the worker → first decision accepted',
      (row) => `${row.kills.map((kill) => whole(kill.firstAcceptedMs)).join(', ')} ms`,
    ),
    line(
      '`kill -9` of the worker → its next step',
      (row) => `${row.kills.map((kill) => whole(kill.firstNextStepMs)).join(', ')} ms`,
    ),
  ];
  const head = [`${whole(size)} parked`, ...sides.map((side) => side.name)];
  return [...renderTable(head, rows), ''];
}

function statusOf({ status, parked }: Row): string {
  if (status === 'measured') return whole(parked);
  return `${whole(parked)}, then out of ${status === 'outOfTime' ? 'time' : 'memory'}`;
}

function amounts(of: Megabytes): string {
  return Object.entries(of)
    .map(([name, mb]) => `${name} ${whole(mb)}`)
    .join(', ');
}

function spreadOf({ p50, p99, p999 }: Tail): string {
  return `${p50} / ${p99} / ${p999} ms`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
