import type { Pool } from '../src/db/index.js';
import type { Governed } from './governed.js';
import type { Handwritten } from './handwritten/driver.js';

export const sideNames = ['governed', 'byHand', 'bare'] as const;
export type SideName = (typeof sideNames)[number];

/** One kind of flow, with the operations by which all kinds are measured. */
export interface Side {
  readonly name: SideName;
  /** Resolves when the run waits for its decision. */
  readonly park: () => Promise<{ readonly id: string; approve(): Promise<unknown> }>;
  readonly ended: (id: string) => Promise<void>;
  /** When the step behind the gate began, by the record that the step writes; milliseconds by id. */
  readonly stepTimes: (ids: readonly string[]) => Promise<Map<string, number>>;
}

export function sidesOf(
  governed: Governed,
  handwritten: Readonly<Record<'byHand' | 'bare', Handwritten>>,
  pool: Pool,
): readonly Side[] {
  const times =
    (sql: string): Side['stepTimes'] =>
    async (ids) => {
      const { rows } = await pool.query<{ run: string; ms: number }>(sql, [ids]);
      return new Map(rows.map((row) => [row.run, Number(row.ms)]));
    };
  const byHandTimes = times(
    `select run, extract(epoch from time) * 1000 as ms from hand_audit where run = any($1) and what = 'released'`,
  );
  const handwrittenSide = (name: 'byHand' | 'bare'): Side => ({
    name,
    async park() {
      const id = await handwritten[name].park();
      return { id, approve: () => handwritten[name].approve(id) };
    },
    ended: handwritten[name].ended,
    stepTimes: byHandTimes,
  });
  return [
    {
      name: 'governed',
      async park() {
        const parked = await governed.park();
        return { id: parked.run, approve: () => governed.approve(parked) };
      },
      ended: governed.ended,
      stepTimes: times(
        `select run, extract(epoch from time) * 1000 as ms from audit_record where run = any($1) and type = 'executor.started'`,
      ),
    },
    handwrittenSide('byHand'),
    handwrittenSide('bare'),
  ];
}
