import type { Client } from '@temporalio/client';
import type { Payloads, ServiceChain } from '../audit/index.js';
import type { ServiceKeys } from '../auth/index.js';
import type { Pool } from '../db/index.js';
import type { RunRow } from '../store/runs.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { FoundUnserved } from './temporal.js';

export interface ClientDeps {
  readonly pool: Pool;
  /** For LISTEN: a connection of its own. */
  readonly databaseUrl: string;
  readonly payloads: Payloads;
  /** For what a run does not record itself: it has ended, or is another deployment's. */
  readonly chain: Pick<ServiceChain, 'append' | 'appendIn'>;
  readonly keys: ServiceKeys;
  readonly temporal: Client;
  /** One client per namespace `countersign-<environment>`, from the same connection. */
  readonly forNamespace: (namespace: string) => Client;
  readonly taskQueue: string;
  /**
   * Do the store's runs of that namespace belong to this Temporal and task queue? Where they do not, none is started, rung
   * for or taken for lost here. Rejects where Temporal does not say. `now`: as it is at this moment.
   */
  readonly isOurs: (namespace: string, when?: 'lately' | 'now') => Promise<boolean>;
  /**
   * Is that task queue, which is not this deployment's, worked for another one with a copy of this store? No other store has
   * its runs. Rejects where Temporal does not say.
   */
  readonly isWorkedFor: (namespace: string, taskQueue: string) => Promise<boolean>;
  readonly workflowBundle: string;
  /**
   * Told of each open run whose workflow was gone, or served by nobody of ours, once it has another, or is stuck since that
   * one is left alone (`elsewhere`): to log and to count it.
   */
  readonly onLostWorkflow: (run: Pick<RunRow, 'id' | 'status' | 'rev'>, why: FoundUnserved['why']) => void;
  readonly onInternalError: OnInternalError;
  /** The store's clock. */
  readonly now: () => Date;
}
