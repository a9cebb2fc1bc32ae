import { Context } from '@temporalio/activity';
import type { Pool } from '../../src/db/index.js';

export interface Asked {
  readonly transition: string;
  readonly requestedBy: string;
  readonly role: string;
}

interface AuditEntry {
  readonly what: 'requested' | 'released';
  readonly time: string;
  readonly detail: string;
}

export interface HandwrittenActivities {
  /** The only activity of the bare flow: its effect does nothing, and an audit row is inserted. */
  effectWithAudit(): Promise<void>;
  /** This and the following are of the governance by hand: an activity for each access to the store or the outside. */
  checkPolicy(asked: Asked): Promise<'gated' | 'refused'>;
  openApproval(asked: Asked): Promise<void>;
  /** Does nothing, and gives the time at which it began. */
  effect(): Promise<string>;
  recordAudit(entry: AuditEntry): Promise<void>;
}

export function makeHandwrittenActivities(pool: Pool): HandwrittenActivities {
  const run = (): string => Context.current().info.workflowExecution?.workflowId ?? '';
  const recordAudit: HandwrittenActivities['recordAudit'] = async ({ what, time, detail }) => {
    const values = [run(), time, what, detail];
    await pool.query('insert into hand_audit (run, time, what, detail) values ($1, $2, $3, $4)', values);
  };
  return {
    effectWithAudit: () => recordAudit({ what: 'released', time: new Date().toISOString(), detail: '' }),
    async checkPolicy({ transition, role }) {
      const { rows } = await pool.query('select 1 from hand_policy where transition = $1 and role = $2', [
        transition,
        role,
      ]);
      return rows.length === 1 ? 'gated' : 'refused';
    },
    async openApproval({ transition, role, requestedBy }) {
      await pool.query(
        `insert into hand_approval (run, transition, role, requested_by, status) values ($1, $2, $3, $4, 'open')`,
        [run(), transition, role, requestedBy],
      );
    },
    effect: async () => new Date().toISOString(),
    recordAudit,
  };
}
