import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../testing/paths.js';
import { conditions, type Condition } from './cells.js';

// docs/fail-closed.md, read as what it is: tables.

export interface Place {
  readonly file: string;
  /** Declarations of that file; null: the whole file is this point. */
  readonly functions: readonly string[] | null;
}

/** A test of another file that forces the cell. */
export interface Reference {
  readonly file: string;
  readonly name: string;
}

export interface Cell {
  readonly text: string;
  readonly applies: boolean;
  readonly references: readonly Reference[];
}

export interface Row {
  readonly id: string;
  readonly places: readonly Place[];
  /** The whole row as written: where codes are looked for. */
  readonly text: string;
  readonly cells: Readonly<Record<Condition, Cell>>;
}

export interface Aside {
  readonly places: readonly Place[];
  readonly why: string;
}

export interface Inventory {
  readonly rows: readonly Row[];
  /** What says no and decides nothing. */
  readonly asides: readonly Aside[];
}

export const documentPath = 'docs/fail-closed.md';
const columns = ['id', 'where', 'decides', ...conditions];

export function readInventory(text = readFileSync(join(projectRoot, documentPath), 'utf8')): Inventory {
  const rows: Row[] = [];
  const asides: Aside[] = [];
  let heading: readonly string[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) {
      heading = [];
      continue;
    }
    const cells = split(line);
    if (cells.every((one) => /^:?-+:?$/.test(one))) continue;
    if (heading.length === 0) heading = cells;
    else if (heading.join() === columns.join()) rows.push(row(cells, line));
    else if (heading.join() === 'where,why')
      asides.push({ places: placesOf(cells[0] ?? ''), why: cells[1] ?? '' });
    else throw new Error(`${documentPath} has a table with the columns ${heading.join(', ')}`);
  }
  return { rows, asides };
}

/** A `|` inside a cell is written `\|`. */
function split(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((one) => one.trim().replaceAll('\\|', '|'));
}

function row(cells: readonly string[], line: string): Row {
  const [id = '', where = ''] = cells;
  if (cells.length !== columns.length)
    throw new Error(
      `${documentPath}: \`${id}\` has ${cells.length} cells, its table ${columns.length} columns`,
    );
  const entries = conditions.map((one, index) => [one, cell(cells[3 + index] ?? '')] as const);
  return {
    id: id.replaceAll('`', ''),
    places: placesOf(where),
    text: line,
    cells: Object.fromEntries(entries) as Record<Condition, Cell>,
  };
}

function cell(text: string): Cell {
  const references = [...text.matchAll(/`(test\/[^`]+\.(?:test|campaign)\.ts)` » (`{1,2})(.+?)\2(?!`)/g)].map(
    ([, file = '', , name = '']) => ({ file, name }),
  );
  return { text, applies: !text.startsWith('n/a'), references };
}

/** `src/engine/run/submit.ts` (`check`, `blocked`), `src/engine/expression/compare.ts` */
function placesOf(where: string): Place[] {
  return [...where.matchAll(/`(src\/[^`]*)`(?: \(([^)]*)\))?/g)].map(([, file = '', functions]) => ({
    file,
    functions:
      functions === undefined ? null : [...functions.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  }));
}
