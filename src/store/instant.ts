const latest = Date.parse('9999-12-31T00:00:00.000Z');

/** Moves any time that the contract accepts into the range that a column can hold. */
export function storable(instant: string): string {
  return new Date(Math.min(Math.max(Date.parse(instant), 0), latest)).toISOString();
}
