import type { Tx } from '../db/index.js';

/** What the run's record says was approved: the digest that each approval of it named. */
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
