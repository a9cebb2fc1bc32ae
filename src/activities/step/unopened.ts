import type { PayloadKeyUnopened } from '../../audit/index.js';
import { openMessage } from '../../auth/index.js';
import { withTransaction, type Tx } from '../../db/index.js';
import { mostWaiting } from '../../model/limits.js';
import { lockUntaken, type LockedMessage } from '../../store/runs/messages.js';
import { showUnstepped, type RunRow } from '../../store/runs/runs.js';
import type { ActivityDeps } from '../deps.js';

// What becomes of a run whose values do not open in this worker. Nothing is known of them, so nothing is decided over it.

/** A cancel that waits for its run, verified, and who asks for it. */
export interface FoundCancel {
  readonly sealed: LockedMessage;
  readonly by: string;
}

/** The first cancel of the run that no step has taken; null: none that is signed. */
export async function findCancel(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<FoundCancel | null> {
  for (const sealed of await lockUntaken(tx, row.id, { kind: 'cancel', except: [], limit: mostWaiting })) {
    const opened = openMessage(sealed, {
      run: row.id,
      environment: row.environment,
      publicKey: () => deps.publicKey(sealed),
    });
    if (opened.status === 'ok') return { sealed, by: opened.message.principal.id };
  }
  return null;
}

/** Shows the run as stuck over it until its next step. Told as an internal error once for each time that it is so. */
export async function showUnopened(
  { pool, onInternalError }: Pick<ActivityDeps, 'pool' | 'onInternalError'>,
  run: string,
  unopened: PayloadKeyUnopened,
): Promise<void> {
  const problem = {
    code: 'KEY_UNOPENED',
    message: `a worker cannot read the values of this run: ${unopened.message}`,
    next: 'nothing of it is lost: the run goes on by itself once they open, without a retry; a cancel ends it',
  } as const;
  if (await withTransaction(pool, (tx) => showUnstepped(tx, run, { status: 'stuck', problem })))
    onInternalError(`run \`${run}\`, which waits`, unopened);
}
