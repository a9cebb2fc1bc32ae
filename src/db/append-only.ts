import { withTransaction, type Pool } from './pool.js';

const forbidden = [
  'update audit_record set about = about',
  'delete from audit_record',
  'truncate audit_record cascade',
  'update audit_log set seq = seq',
  'delete from audit_log',
  'delete from payload',
] as const;

/**
 * Tries what must not work, in transactions that are rolled back. The statements meet row triggers
 * only where there are rows, so each is tried beside a row of its own. Throws when one of them works.
 */
export async function assertAppendOnly(pool: Pool): Promise<void> {
  for (const statement of forbidden) {
    const worked = await withTransaction(pool, async (tx) => {
      await tx.query(`insert into audit_chain (chain, run, size) values ('probe', false, 1)`);
      await tx.query(
        `insert into audit_record (id, chain, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id, actor, actor_kind, verdict)
         values ('probe', 'probe', 0, 'probe', '', '', '', '', '', 'probe', now(), '', '', '', '', '', '')`,
      );
      await tx.query(`insert into audit_log (index, seq) select -1, seq from audit_record where id = 'probe'`);
      await tx.query(`insert into payload (id, run, commit, media, ciphertext) values ('probe', '', '', '', '')`);
      await tx.query('savepoint tried');
      const done = await tx.query(statement).then(
        () => true,
        () => false,
      );
      await tx.query('rollback');
      await tx.query('begin');
      return done;
    });
    if (worked) throw new Error(`the audit log is not append-only: \`${statement}\` works; run the migrations, and restore its triggers`);
  }
}
