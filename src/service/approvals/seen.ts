import { isOpen, mayDecide } from '../../engine/index.js';
import type { JsonObject } from '../../model/json.js';
import type { PayloadRef, RecordType } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import { hasSeen, insertSeen } from '../../store/claims.js';
import { actorOf, traceIdOf, type Caller } from '../caller.js';
import { queuesNow } from './judge.js';
import type { Approval } from './look.js';

interface About {
  readonly row: {
    readonly id: string;
    readonly run: string;
    readonly flow: string;
    readonly environment: string;
  };
}

/** With what it says, in one transaction: in the service's chain, about the run. Call it last. */
export async function recordAbout(
  caller: Caller,
  tx: Tx,
  type: RecordType,
  { row }: About,
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

/** The first time that somebody who may decide it reads it: recorded, and measured from. */
export async function noteView(caller: Caller, found: Approval): Promise<void> {
  const { row, state } = found;
  const { principal } = caller;
  if (state === null || !isOpen(row.status)) return;
  if (mayDecide(state, principal, await queuesNow(caller.deps)).status === 'no') return;
  if (await hasSeen(caller.deps.pool, row.id, principal.id)) return;
  const at = caller.deps.now().toISOString();
  await caller.deps.transaction(async (tx) => {
    if (!(await insertSeen(tx, { approval: row.id, principal: principal.id, at }))) return;
    await recordAbout(caller, tx, 'approval.viewed', found, { data: { status: row.status } });
  });
}
