import { isOpen, mayDecide } from '../../engine/index.js';
import type { JsonObject } from '../../model/values/json.js';
import type { PayloadRef, RecordType } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import { hasSeen, insertSeen } from '../../store/approvals/claims.js';
import { actorOf, traceIdOf, type Caller } from '../caller.js';
import { transact } from '../changes.js';
import { readQueueKit } from './judge.js';
import type { Approval } from './look.js';

interface AboutApproval {
  readonly row: {
    readonly id: string;
    readonly run: string;
    readonly flow: string;
    readonly environment: string;
  };
}

/** Records a fact about an approval in the service's chain, in the transaction that makes it true. Call it last there. */
export async function recordAbout(
  caller: Caller,
  tx: Tx,
  type: RecordType,
  { row }: AboutApproval,
  { data, refs }: { readonly data: JsonObject; readonly refs?: readonly PayloadRef[] },
): Promise<void> {
  await caller.deps.chain.appendIn(tx, [
    {
      key: `${caller.requestId}:${type}:${row.id}`,
      type,
      time: caller.deps.now().toISOString(),
      actor: actorOf(caller),
      approval: row.id,
      about: row.run,
      flow: row.flow,
      environment: row.environment,
      traceId: traceIdOf(caller),
      causation: caller.requestId,
      data,
      ...(refs === undefined ? {} : { refs }),
    },
  ]);
}

/**
 * Records the first time that a person who may decide the approval reads it. Statistics measure from there. What a service reads
 * for a person, the person has not read.
 */
export async function noteView(caller: Caller, found: Approval): Promise<void> {
  const { row, state } = found;
  const { principal } = caller;
  if (state === null || !isOpen(row.status) || principal.actedBy !== undefined) return;
  if (mayDecide(state, principal, await readQueueKit(caller.deps)).status === 'no') return;
  if (await hasSeen(caller.deps.pool, row.id, principal.id)) return;
  const at = caller.deps.now().toISOString();
  await transact(caller, async (tx) => {
    if (!(await insertSeen(tx, { approval: row.id, principal: principal.id, at }))) return;
    await recordAbout(caller, tx, 'approval.viewed', found, { data: { status: row.status } });
  });
}
