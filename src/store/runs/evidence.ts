import type { Evidence } from '../../engine/state.js';
import { write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';

export interface EvidenceRow {
  readonly kind: string;
  readonly id: string;
  readonly at: string;
}

export async function putEvidence(tx: Tx, run: string, evidence: readonly Evidence[]): Promise<void> {
  await write(
    tx,
    `insert into evidence (id, run, kind, at)
     select id, $1, kind, at::timestamptz from unnest($2::text[], $3::text[], $4::text[]) with ordinality as t (id, kind, at, n)
      order by n on conflict do nothing`,
    [
      run,
      evidence.map(({ id }) => id),
      evidence.map(({ kind }) => withoutNul(kind)),
      evidence.map(({ at }) => at),
    ],
  );
}

/** The newest `most` pieces of evidence that were ever recorded for the run, in order. */
export async function evidenceOf(q: Queryable, run: string, most: number): Promise<EvidenceRow[]> {
  const { rows } = await q.query<EvidenceRow>(
    `select kind, id, at from (select kind, id, at, seq from evidence where run = $1 order by seq desc limit $2) e order by seq`,
    [run, most],
  );
  return rows;
}
