import type { Queryable, Tx } from '../../db/index.js';
import { eventKey } from '../record/envelope.js';

/** The digests that were approved, as the run's record has them: one for each `approve` decision on this approval. */
export async function approvedDigests(tx: Tx, run: string, approval: string): Promise<string[]> {
  const { rows } = await tx.query<{ body: Buffer }>(
    `select body from audit_record where run = $1 and chain = $1 and type = 'approval.decided' order by runseq`,
    [run],
  );
  return rows.flatMap(({ body }) => {
    const record = JSON.parse(body.toString('utf8')) as {
      approval?: string;
      data?: { decision?: string; digest?: string };
    };
    const counts = record.approval === approval && record.data?.decision === 'approve';
    return counts ? [record.data?.digest ?? ''] : [];
  });
}

/** Ids of the messages that were refused, as the record says in the run's chain or in service records about the run. */
export async function refusedMessages(q: Queryable, run: string): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ body: Buffer }>(
    `select body from audit_record where type = 'message.refused' and (run = $1 or about = $1)`,
    [run],
  );
  return new Set(
    rows.flatMap(({ body }) => {
      const { causation } = JSON.parse(body.toString('utf8')) as { causation?: string };
      return causation === undefined || causation === '' ? [] : [causation];
    }),
  );
}

/** Does a service record about the run, other than the one with this key, say of a message that was refused who had sent it? */
export async function namesSender(q: Queryable, run: string, key: string): Promise<boolean> {
  const { rows } = await q.query(
    `select 1 from audit_record where type = 'message.refused' and about = $1 and actor_kind <> 'anonymous' and event_key <> $2 limit 1`,
    [run, eventKey({ chain: '', about: run }, { key })],
  );
  return rows.length > 0;
}
