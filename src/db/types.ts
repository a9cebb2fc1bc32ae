import pg from 'pg';

export type Pool = pg.Pool;
export type Tx = pg.PoolClient;
export type Queryable = pg.Pool | pg.PoolClient | pg.Client;

const int8 = 20;
const timestamptz = 1184;
const plainDate: (text: string) => unknown = pg.types.getTypeParser(timestamptz, 'text');

/** Reads bigint as a number (ours stay far below 2^53) and times as ISO 8601 UTC; all else as pg does. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (oid === int8) return safeInteger;
    if (oid === timestamptz) return isoTime;
    return (
      format === 'binary' ? pg.types.getTypeParser(oid, 'binary') : pg.types.getTypeParser(oid, 'text')
    ) as never;
  },
};

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`the database holds ${text}, which is beyond 2^53 - 1`);
  return value;
}

function isoTime(text: string): string {
  const value = plainDate(text);
  if (!(value instanceof Date))
    throw new RangeError(`the database gives the time \`${text}\`, which is none of ISO 8601`);
  return value.toISOString();
}
