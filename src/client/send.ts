import { getAction } from '../store/actions.js';
import { isUndelivered, put } from '../store/outbox.js';
import { getRun, type RunRow } from '../store/runs.js';
import type { MessageName } from '../workflows/messages.js';
import { attest, startMessageId, type Attest } from './attest.js';
import type { MessageOutcome } from './types.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

export function unknownRun(run: string): MessageOutcome {
  return {
    status: 'answered',
    answer: { status: 'refused', code: 'NOT_FOUND', message: `no run \`${run}\`` },
  };
}

/**
 * Update first: it answers. Where no worker takes it in time, the signal with the same id is
 * durable, and the outbox sends it until the run has taken the message.
 */
export async function send(
  deps: ClientDeps,
  namespace: string,
  given: Attest,
  waitMs: number,
): Promise<MessageOutcome> {
  const client = deps.forNamespace(namespace);
  const attested = await attest(deps, deps.pool, given);
  const reply = await temporal.update(client, given.run, nameOf(given), attested, Math.max(waitMs, 50));
  return concluded(deps, namespace, given, reply);
}

/** What an update's reply means to the caller, once what has no answer yet is durable. */
export async function concluded(
  deps: ClientDeps,
  namespace: string,
  given: Attest,
  reply: temporal.UpdateReply,
): Promise<MessageOutcome> {
  const name = nameOf(given);
  switch (reply.status) {
    case 'answered':
      return { status: 'answered', answer: reply.answer };
    case 'closed': {
      const row = await getRun(deps.pool, given.run);
      // The process that took its start died before it was sent: the outbox sends it, before what came later.
      if (await isUndelivered(deps.pool, startMessageId(given.run))) break;
      return closedAnswer(row);
    }
    case 'unavailable':
      if (name !== 'decide') return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
      break;
    case 'late':
      if (name === 'submit' && (await getAction(deps.pool, `act_${given.id.slice(4)}`)) !== null)
        return { status: 'executing', messageId: given.id };
  }
  await put(deps.pool, {
    id: given.id,
    run: given.run,
    kind: name,
    payload: await attest(deps, deps.pool, given),
  });
  await temporal.deliver(deps, namespace, given.run, name, await attest(deps, deps.pool, given));
  return { status: 'executing', messageId: given.id };
}

function nameOf({ body }: Attest): MessageName {
  if (body.kind === 'start') throw new Error('a start is not sent as a message');
  return body.kind;
}

/** Temporal refuses messages to closed runs: so do we, in the words of the contract. */
function closedAnswer(row: RunRow | null): MessageOutcome {
  const message = `the run is ${row?.status ?? 'closed'}`;
  return { status: 'answered', answer: { status: 'refused', code: 'RUN_CLOSED', message } };
}
