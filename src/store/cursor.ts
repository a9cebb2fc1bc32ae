/** Makes an opaque cursor: base64url of a JSON array. Decoding gives null for what is no cursor of this service. */
export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

export function decodeCursor(cursor: string, length: number): readonly (string | number)[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) && value.length === length && value.every(isPosition) ? value : null;
  } catch {
    return null;
  }
}

/** Decodes a cursor of a list that is ordered by time and id. */
export function decodeTimeCursor(cursor: string): readonly [time: string, id: string] | null {
  const [time, id] = decodeCursor(cursor, 2) ?? [];
  return typeof time === 'string' && typeof id === 'string' && isTime(time) ? [time, id] : null;
}

/** Whether the text is a time as this service writes times. */
export function isTime(text: string): boolean {
  // Postgres has no year 0.
  return isoTime.test(text) && !text.startsWith('0000') && !Number.isNaN(Date.parse(text));
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function isPosition(value: unknown): value is string | number {
  return typeof value === 'number'
    ? Number.isSafeInteger(value)
    : typeof value === 'string' && !value.includes('\0');
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Makes a page of rows that were read with `limit + 1`, so that the last row says whether another page follows. */
export function page<T>(
  rows: readonly T[],
  limit: number,
  position: (row: T) => readonly (string | number)[],
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null,
  };
}
