/** Opaque cursors: base64url of a JSON array of strings and numbers. Null: not one of ours. */
export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

export function decodeCursor(cursor: string, length: number): readonly (string | number)[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const fits = Array.isArray(value) && value.length === length && value.every((one) => typeof one === 'string' || typeof one === 'number');
    return fits ? (value as (string | number)[]) : null;
  } catch {
    return null;
  }
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Rows were read with one more than `limit`, to know whether a page follows. */
export function page<T>(rows: readonly T[], limit: number, position: (row: T) => readonly (string | number)[]): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null };
}
