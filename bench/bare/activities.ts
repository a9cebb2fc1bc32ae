import { Context } from '@temporalio/activity';
import type { Pool } from '../../src/db/index.js';

export interface BareActivities {
  effect(): Promise<void>;
}

/** One activity that does nothing, and one audit insert. */
export function makeBareActivities(pool: Pool): BareActivities {
  return {
    async effect() {
      const started = new Date().toISOString();
      const { workflowId } = Context.current().info.workflowExecution ?? {};
      await pool.query('insert into bare_audit (run, time, what) values ($1, $2, $3)', [
        workflowId,
        started,
        'released',
      ]);
    },
  };
}
