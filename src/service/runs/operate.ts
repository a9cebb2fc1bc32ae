import type { MessageOutcome, OperateRequest } from '../../client/types.js';
import type { RunStandingJson } from '../../model/contract/answer-types.js';
import { deriveId, type Caller } from '../caller.js';
import { requestBaseOf } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import type { Refusal } from '../refusal.js';
import { readStanding } from './standing.js';
import { visibleRun } from './visible.js';
import { refusalFromRun } from './refused-by-run.js';

export interface Operated {
  readonly kind: 'operated';
  /** The run has taken the request, and no effect of the run is under way any more. */
  readonly hasSettled: boolean;
  readonly body: RunStandingJson;
}

/** Cancels a run: open approvals are revoked, and an effect under way is recorded first. `wait`: seconds. */
export async function cancelRun(
  caller: Caller,
  id: string,
  reason: string,
  wait: number,
): Promise<Operated | Refusal> {
  const refused = refuseCaller(caller, 'cancelRun');
  if (refused !== null) return refused;
  return operate(caller, id, { reason, wait, ask: (request) => caller.deps.client.cancel(request) });
}

/** Has a stuck run repeat what it is stuck on. `wait`: seconds. */
export async function retryRun(
  caller: Caller,
  id: string,
  reason: string,
  wait: number,
): Promise<Operated | Refusal> {
  const refused = refuseCaller(caller, 'retryRun');
  if (refused !== null) return refused;
  return operate(caller, id, { reason, wait, ask: (request) => caller.deps.client.retry(request) });
}

interface Operation {
  readonly reason: string;
  readonly wait: number;
  readonly ask: (request: OperateRequest) => Promise<MessageOutcome>;
}

async function operate(
  caller: Caller,
  id: string,
  { reason, wait, ask }: Operation,
): Promise<Operated | Refusal> {
  const found = await visibleRun(caller, id);
  if (found.kind === 'refusal') return found;
  const messageId = deriveId(caller, 'msg');
  const outcome = await ask({ ...requestBaseOf(caller, wait), run: id, messageId, reason });
  const refused = await refusalFromRun(caller, id, outcome);
  if (refused !== null) return refused;
  const { row, body } = await readStanding(caller, id);
  return { kind: 'operated', hasSettled: outcome.status === 'answered' && row.executing === null, body };
}
