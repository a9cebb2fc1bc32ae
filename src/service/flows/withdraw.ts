import { z } from 'zod';
import { describeFlow, getWithdrawal, withdrawFlow as storeWithdrawal } from '../../store/flows/flows.js';
import { actorOf, type Caller } from '../caller.js';
import { transact } from '../changes.js';
import { makeKeptResult } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { withdrawnFact } from './policy-facts.js';
import { loadFlow, type FlowRead } from './read.js';

// A withdrawn flow takes no new runs until it is published again; runs under way go on.

const withdrawnFlow = z.object({ withdrawn: z.string() });

/** Gives the flow as it is now: if this request is a repeat, somebody may have published the flow again since. */
export async function withdrawFlow(
  caller: Caller,
  name: string,
  reason: string,
): Promise<FlowRead | Refusal> {
  const refused = refuseCaller(caller, 'withdrawFlow');
  if (refused !== null) return refused;
  const { deps } = caller;
  if ((await describeFlow(deps.pool, name)) === null) return notFound('flow', name);
  const [time, actor] = [deps.now().toISOString(), actorOf(caller)];
  const kept = makeKeptResult(caller, withdrawnFlow);
  const isDone = await transact(caller, async (tx) => {
    if ((await kept.earlier(tx)) !== null) return true;
    if (((await getWithdrawal(tx, name))?.reasonRef ?? null) !== null) return false;
    const reasonRef = await deps.payloads.put(tx, '', 'reason', 'text/plain', reason);
    if (!(await storeWithdrawal(tx, name, { reasonRef, by: actor.id, at: time }))) return false;
    const traceId = caller.requestId;
    await deps.chain.appendIn(tx, [
      withdrawnFact({ name, time, actor, traceId, cause: 'asked', refs: [reasonRef] }),
    ]);
    await kept.keep(tx, { withdrawn: name });
    return true;
  });
  return isDone
    ? loadFlow(deps, name)
    : refusal('FLOW_WITHDRAWN', `\`${name}\` is withdrawn already: publishing it again ends that`);
}
