import type { Principal } from '../../model/principal.js';
import type { Transition } from '../plan.js';
import { endOf } from './deadlines.js';
import { actorOf, record, refuse, type Draft } from '../run/draft.js';
import { stick } from '../run/flow.js';
import type { Refusal } from '../state.js';
import type { Until } from '../run/way-on.js';
import type { AskingGate } from './gates.js';
import type { GuardContext } from '../guards.js';

// An approval that ends with a time that the request names, where that is no time.

/** Why one of the gates has an end that cannot be read; null: each that has one can be. */
export function unreadableEnd(gates: readonly AskingGate[], at: GuardContext): string | null {
  for (const { rule } of gates) {
    const end = endOf(rule, at);
    if (end.status === 'unreadable') return end.message;
  }
  return null;
}

export type Unaskable = Pick<Refusal, 'code' | 'message' | 'rule'>;

/** Nobody knows until when it could be decided, could be shown it whole, or could have it done, or nothing of it could be called: so nobody is asked. */
export function refuseAsking(
  draft: Draft,
  { name }: Transition,
  requester: Principal | null,
  messageId: string | null,
  why: Unaskable,
  until: Until = 'never',
): void {
  const { code, message } = why;
  if (messageId === null) return stick(draft, { code, message }, { kind: 'chain', until });
  record(draft, 'transition.rejected', {
    actor: actorOf(requester),
    causation: messageId,
    action: { transition: name },
    policy: { rule: code, verdict: 'refused', reason: message },
    data: { code },
  });
  refuse(draft, messageId, { ...why, message: `\`${name}\` cannot be asked for: ${message}` });
}
