import { test } from 'node:test';

export const conditions = ['error', 'timeout', 'missing', 'malformed', 'empty'] as const;
export type Condition = (typeof conditions)[number];

/** The name that holds a cell of docs/fail-closed.md and its test together. */
export function cellName(id: string, condition: Condition): string {
  return `fail-closed: ${id}: ${condition}`;
}

type Force = () => void | Promise<void>;

/** One row of the document: each of its conditions is forced, and must end in a refusal and its record. */
export function failClosed(id: string, cells: Readonly<Partial<Record<Condition, Force>>>): void {
  for (const condition of conditions) {
    const force = cells[condition];
    if (force !== undefined) test(cellName(id, condition), force);
  }
}
