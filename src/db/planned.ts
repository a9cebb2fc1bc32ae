import type { Queryable } from './types.js';

// Statements whose text depends on what is asked: each has only the conditions that were asked for, and is planned for its
// values. A single text with all conditions could use no index.

/** The values of one statement. */
export interface Values {
  readonly list: readonly unknown[];
  /** Adds a value to the list, and gives its name: `$1`, `$2` and so on. */
  readonly name: (value: unknown) => string;
}

export function makeValues(): Values {
  const list: unknown[] = [];
  return { list, name: (value) => `$${list.push(value)}` };
}

/** A statement that begins with this is planned each time and not kept prepared, because there are many such texts. */
export const planEachTime = '/* planned for its values */ ';

export async function queryPlanned<T extends object>(
  q: Queryable,
  text: string,
  { list }: Values,
): Promise<T[]> {
  const { rows } = await q.query<T>(`${planEachTime}${text}`, [...list]);
  return rows;
}
