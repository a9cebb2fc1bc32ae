import { z } from 'zod';
import { describeFlow, getWithdrawal, withdrawFlow } from '../../store/flows.js';
import { actorOf, type Caller } from '../caller.js';
import { keptEffect } from '../effect.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { withdrawnFact } from './policy-facts.js';
import { flowAsItIs, type FlowRead } from './read.js';

// No new runs of a flow, until it is published again; runs under way go on.

const withdrawnEffect = z.object({ withdrawn: z.string() });

/** Answered with the flow as it is: where this was repeated, somebody may have published it since. */
export async function withdraw(caller: Caller, name: string, reason: string): Promise<FlowRead | Refusal> {
  const refused = refuseCaller(caller, 'withdrawFlow');
  if (refused !== null) return refused;
  const { deps } = caller;
  if ((await describeFlow(deps.pool, name)) === null) return notFound('flow', name);
  const [time, actor] = [deps.now().toISOString(), actorOf(caller)];
  const effect = keptEffect(caller, withdrawnEffect);
  const isDone = await deps.transaction(async (tx) => {
    if ((await effect.earlier(tx)) !== null) return true;
    if (((await getWithdrawal(tx, name))?.reasonRef ?? null) !== null) return false;
    const reasonRef = await deps.payloads.put(tx, '', 'reason', 'text/plain', reason);
    if (!(await withdrawFlow(tx, name, { reasonRef, by: actor.id, at: time }))) return false;
    const traceId = caller.requestId;
    await deps.chain.appendIn(tx, [
      withdrawnFact({ name, time, actor, traceId, cause: 'asked', refs: [reasonRef] }),
    ]);
    await effect.keep(tx, { withdrawn: name });
    return true;
  });
  return isDone
    ? flowAsItIs(deps, name)
    : refusal('FLOW_WITHDRAWN', `\`${name}\` is withdrawn already: publishing it again ends that`);
}
