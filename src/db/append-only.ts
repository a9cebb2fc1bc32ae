import { withTransaction } from './pool.js';
import type { Pool, Tx } from './types.js';

const forbidden = [
  'update audit_record set about = about',
  'delete from audit_record',
  'truncate audit_record cascade',
  'update audit_log set seq = seq',
  'delete from audit_log',
  'truncate audit_log',
  'delete from payload',
];

const refusedCode = '42501';
const lockTimeoutCode = '55P03';
const readOnlyCode = '25006';
const noTableCode = '42P01';
const rolledBack = Symbol('rolled back');

/**
 * Tries to change the record, in a transaction that is rolled back, and throws when that works: a process that could change the
 * record must not start.
 */
export async function assertAppendOnly(pool: Pool): Promise<void> {
  try {
    await withTransaction(pool, async (tx) => {
      await tx.query(`set local lock_timeout = '3s'`);
      for (const statement of forbidden) await expectRefusal(tx, statement);
      throw rolledBack;
    });
  } catch (error) {
    if (error !== rolledBack) throw error;
  }
}

async function expectRefusal(tx: Tx, statement: string): Promise<void> {
  await tx.query('savepoint attempt');
  const code = await tx.query(statement).then(
    () => 'it worked',
    (error: unknown) => {
      const given = error instanceof Error && 'code' in error ? error.code : undefined;
      // A read-only Postgres refuses every write: that says nothing of this one.
      if (typeof given === 'string' && given !== readOnlyCode) return given;
      throw error;
    },
  );
  await tx.query('rollback to savepoint attempt');
  if (code === refusedCode) return;
  if (code === lockTimeoutCode)
    throw new Error(`could not try \`${statement}\`: the table is locked; start again`);
  if (code === noTableCode)
    throw new Error(
      `the database has not the tables of this version (\`${statement}\`): run \`countersign migrate\`, with a login that may make them`,
    );
  throw new Error(
    `\`${statement}\` must be refused by the database and was not (${code}): run \`countersign migrate\`, and see who dropped its triggers`,
  );
}
