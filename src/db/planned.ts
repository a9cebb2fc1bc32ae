import type { Queryable } from './types.js';

// Statements whose text depends on what is asked. Each names only the conditions that were asked for, and is planned for its
// values: one text for all of them would keep no index.

/** The values of one statement. */
export interface Values {
  readonly list: readonly unknown[];
  /** `$1`, `$2` and so on, in the order in which they are named. */
  readonly name: (value: unknown) => string;
}

export function makeValues(): Values {
  const list: unknown[] = [];
  return { list, name: (value) => `$${list.push(value)}` };
}

/** A statement that begins so is planned each time, and no connection keeps it: the texts are many. */
export const unkept = '/* planned for its values */ ';

export async function queryPlanned<T extends object>(
  q: Queryable,
  text: string,
  { list }: Values,
): Promise<T[]> {
  const { rows } = await q.query<T>(`${unkept}${text}`, [...list]);
  return rows;
}
