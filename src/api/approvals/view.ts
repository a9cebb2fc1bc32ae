import { mayDecide } from '../../engine/index.js';
import type { JsonObject } from '../../model/json.js';
import type { PayloadRef, RecordType } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import { hasSeen, insertSeen } from '../../store/claims.js';
import type { FoundApproval } from './body.js';
import { queuesNow } from './gates.js';
import { isOpen } from './words.js';
import { actorOf, principalOf, traceIdOf, type Call } from '../http/call.js';

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
  call: Call,
  tx: Tx,
  type: RecordType,
  { row }: About,
  { data, refs }: { readonly data: JsonObject; readonly refs?: readonly PayloadRef[] },
): Promise<void> {
  await call.deps.chain.appendIn(tx, [
    {
      key: `${call.requestId}:${type}:${row.id}`,
      type,
      time: call.deps.now().toISOString(),
      actor: actorOf(call),
      approval: row.id,
      about: row.run,
      flow: row.flow,
      environment: row.environment,
      traceId: traceIdOf(call),
      causation: call.requestId,
      data,
      ...(refs === undefined ? {} : { refs }),
    },
  ]);
}

/** The first time that somebody who may decide it reads it: recorded, and measured from. */
export async function noteView(call: Call, found: FoundApproval): Promise<void> {
  const { row, state } = found;
  const principal = principalOf(call);
  if (state === null || !isOpen(row.status)) return;
  if (mayDecide(state, principal, await queuesNow(call.deps)).status === 'no') return;
  if (await hasSeen(call.deps.pool, row.id, principal.id)) return;
  const at = call.deps.now().toISOString();
  await call.deps.transaction(async (tx) => {
    if (!(await insertSeen(tx, { approval: row.id, principal: principal.id, at }))) return;
    await recordAbout(call, tx, 'approval.viewed', found, { data: { status: row.status } });
  });
}
