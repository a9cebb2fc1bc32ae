import { principalActor } from '../../model/records.js';
import type { PayloadKeyUnopened } from '../../audit/index.js';
import { openMessage } from '../../auth/index.js';
import { storeTime, withTransaction, type Tx } from '../../db/index.js';
import { mostWaiting } from '../../model/limits.js';
import type { SignedMessage } from '../../model/message.js';
import type { ShownProblem } from '../../engine/state.js';
import { lockUntaken, type LockedMessage } from '../../store/runs/messages.js';
import { lockRun, showUnstepped, type RunRow } from '../../store/runs/runs.js';
import type { ActivityDeps } from '../deps.js';

// What becomes of a run whose values do not open in this worker. Nothing is known of them, so nothing is decided over it.

/** A cancel that waits for its run, verified. */
export interface FoundCancel {
  readonly sealed: LockedMessage;
  readonly message: SignedMessage;
}

/** The first cancel of the run that no step has taken, by somebody who may cancel it; null: there is none. */
export async function findCancel(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<FoundCancel | null> {
  for (const sealed of await lockUntaken(tx, row.id, { kind: 'cancel', except: [], limit: mostWaiting })) {
    const opened = openMessage(sealed, {
      run: row.id,
      environment: row.environment,
      publicKey: () => deps.publicKey(sealed),
    });
    if (opened.status !== 'ok') continue;
    const { message } = opened;
    if (message.principal.permissions.includes('run.operate')) return { sealed, message };
  }
  return null;
}

/** Puts a cancel on record as its run would, which has not begun and so has no record of its own. Its reason is named, and not read. */
export async function recordCancel(
  { serviceChain }: Pick<ActivityDeps, 'serviceChain'>,
  tx: Tx,
  { id: run, flow, environment, traceId }: RunRow,
  { message: { id, principal: by, refs } }: FoundCancel,
): Promise<void> {
  await serviceChain.appendIn(tx, [
    {
      key: `${run}:cancel:${id}`,
      type: 'transition.requested',
      time: await storeTime(tx),
      actor: principalActor(by),
      permission: 'run.operate',
      action: { transition: 'cancel' },
      causation: id,
      refs,
      data: {},
      about: run,
      flow,
      environment,
      traceId,
    },
  ]);
}

/**
 * Shows the run as stuck over it until its next step. Told as an internal error once for each time that it is so. `isStill`: whether
 * what did not open is still to be done, asked behind the lock on the run, since another worker may have done it meanwhile.
 */
export async function showUnopened(
  { pool, onInternalError }: Pick<ActivityDeps, 'pool' | 'onInternalError'>,
  run: string,
  unopened: PayloadKeyUnopened,
  isStill: (tx: Tx, row: RunRow) => boolean | Promise<boolean>,
): Promise<void> {
  const isNew = await withTransaction(pool, async (tx) => {
    const row = await lockRun(tx, run);
    if (row === null || !(await isStill(tx, row))) return false;
    return showUnstepped(tx, run, { status: 'stuck', problem: addUnopened(row, unopened) });
  });
  if (isNew) onInternalError(`run \`${run}\`, which waits`, unopened);
}

const alsoWaits = 'for now what the run is asked waits, since ';

/** What the run shows of it. A run that is stuck over something else goes on showing that, since it does not end with this. */
function addUnopened({ status, problem }: RunRow, unopened: PayloadKeyUnopened): ShownProblem {
  const message = `a worker cannot read the values of this run: ${unopened.message}`;
  if (status !== 'stuck' || problem === null || problem.code === 'KEY_UNOPENED') {
    const next =
      'nothing of it is lost: the run goes on by itself once they open, without a retry; a cancel ends it';
    return { code: 'KEY_UNOPENED', message, next };
  }
  const { next } = problem;
  if (next?.includes(alsoWaits) === true) return problem;
  return { ...problem, next: `${next === undefined ? '' : `${next}; `}${alsoWaits}${message}` };
}
