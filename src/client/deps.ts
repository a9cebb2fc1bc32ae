import type { Client } from '@temporalio/client';
import type { Payloads, ServiceChain } from '../audit/index.js';
import type { ServiceKeys } from '../auth/index.js';
import type { Pool } from '../db/index.js';
import type { RunRow } from '../store/runs/runs.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { FoundUnserved } from './temporal.js';

export interface ClientDeps {
  readonly pool: Pool;
  /** For LISTEN, which needs a connection of its own. */
  readonly databaseUrl: string;
  readonly payloads: Payloads;
  /** For facts about a run that cannot go into its own chain, because it has ended or is another deployment's. */
  readonly chain: Pick<ServiceChain, 'append' | 'appendIn'>;
  readonly keys: ServiceKeys;
  readonly temporal: Client;
  /** One client per namespace `countersign-<environment>`, from the same connection. */
  readonly forNamespace: (namespace: string) => Client;
  readonly taskQueue: string;
  /**
   * Whether the store's runs of that namespace belong to this Temporal and task queue. If not, none is started, rung for or taken
   * for lost here. Rejects if Temporal does not say. `now`: as it is at this moment; `lately`, the default, may be a while old.
   */
  readonly isOurs: (namespace: string, when?: 'lately' | 'now') => Promise<boolean>;
  /**
   * Whether that task queue, which is not this deployment's, is served for another deployment: one with a copy of this store,
   * since only a copy has the same runs. Rejects if Temporal does not say.
   */
  readonly isWorkedFor: (namespace: string, taskQueue: string) => Promise<boolean>;
  readonly workflowBundle: string;
  /**
   * Called for each open run whose workflow was gone or not served by our workers, once the run has another workflow, or is stuck
   * because its workflow is left alone (`elsewhere`). For logs and counts.
   */
  readonly onLostWorkflow: (run: Pick<RunRow, 'id' | 'status' | 'rev'>, why: FoundUnserved['why']) => void;
  readonly onInternalError: OnInternalError;
  /** The store's clock. */
  readonly now: () => Date;
}
