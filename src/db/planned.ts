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

/** Planned each time and not kept by the connection: its texts are many. */
export async function queryPlanned<T extends object>(
  q: Queryable,
  text: string,
  { list }: Values,
): Promise<T[]> {
  const { rows } = await q.query<T>({ text, values: [...list] });
  return rows;
}
