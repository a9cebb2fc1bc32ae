import type { MessageOutcome, OperateRequest } from '../../client/types.js';
import type { RunStandingJson } from '../../model/answer-types.js';
import { effectId, type Caller } from '../caller.js';
import { askingOf } from '../effect.js';
import { refuseCaller } from '../may.js';
import type { Refusal } from '../refusal.js';
import { currentBody, visibleRun } from './body.js';
import { refusedByRun } from './refused-by-run.js';

export interface Operated {
  readonly kind: 'operated';
  /** The run has taken it, and nothing of it is under way any more. */
  readonly hasSettled: boolean;
  readonly body: RunStandingJson;
}

/** What is open is revoked; an effect under way is recorded first. `wait`: seconds. */
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

/** Does again what a stuck run is stuck on. `wait`: seconds. */
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

interface Asked {
  readonly reason: string;
  readonly wait: number;
  readonly ask: (request: OperateRequest) => Promise<MessageOutcome>;
}

async function operate(
  caller: Caller,
  id: string,
  { reason, wait, ask }: Asked,
): Promise<Operated | Refusal> {
  const found = await visibleRun(caller, id);
  if (found.kind === 'refusal') return found;
  const messageId = effectId(caller, 'msg');
  const outcome = await ask({ ...askingOf(caller, wait), run: id, messageId, reason });
  const refused = await refusedByRun(caller, id, outcome);
  if (refused !== null) return refused;
  const { row, body } = await currentBody(caller, id);
  return { kind: 'operated', hasSettled: outcome.status === 'answered' && row.executing === null, body };
}
