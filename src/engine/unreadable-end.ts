import type { Principal } from '../model/principal.js';
import type { Transition } from './plan.js';
import { endOf } from './deadlines.js';
import { actorOf, record, refuse, type Draft } from './draft.js';
import { stick } from './flow.js';
import type { AskingGate } from './gates.js';
import type { GuardContext } from './guards.js';

// An approval that ends with a time that the request names, where that is no time.

/** Why one of the gates has an end that cannot be read; null: each that has one can be. */
export function unreadableEnd(gates: readonly AskingGate[], at: GuardContext): string | null {
  for (const { rule } of gates) {
    const end = endOf(rule, at);
    if (end.status === 'unreadable') return end.message;
  }
  return null;
}

/** Nobody knows until when it could be decided, so nobody is asked. */
export function refuseEnd(
  draft: Draft,
  { name }: Transition,
  requester: Principal | null,
  message: string,
  messageId: string | null,
): void {
  const code = 'INPUT_INVALID';
  if (messageId === null) return stick(draft, { code, message }, { kind: 'chain' });
  record(draft, 'transition.rejected', {
    actor: actorOf(requester),
    causation: messageId,
    action: { transition: name },
    policy: { rule: code, verdict: 'refused', reason: message },
    data: { code },
  });
  refuse(draft, messageId, { code, message: `\`${name}\` cannot be asked for: ${message}` });
}
