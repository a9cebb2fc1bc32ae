import type { MessageDraft } from './replay/attest.js';
import { jsonValue, refsToCome, refuseTooLarge, traceValues } from './replay/attest.js';
import { post } from './post.js';
import type { MessageOutcome, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';

export async function submit(
  deps: ClientDeps,
  waiter: Waiter,
  request: SubmitRequest,
): Promise<MessageOutcome> {
  const { run, messageId: id, waitMs, expectedVersion, whileOurs, rights, foresee } = request;
  const asked = makeSubmission(request);
  const isTooLarge = refuseTooLarge(asked.values) !== null;
  return post(deps, waiter, {
    run,
    id,
    kind: 'submit',
    waitMs,
    expectedVersion,
    whileOurs,
    rights,
    foresight:
      isTooLarge || foresee === undefined
        ? null
        : {
            principal: request.principal.id,
            foresee: (signal) => foresee(refsToCome(asked.values), signal),
          },
    make: () => asked,
  });
}

/** The message of a submit, with its arguments and the agent's reasoning. */
export function makeSubmission(
  request: Omit<SubmitRequest, 'rights'>,
): Omit<MessageDraft, 'id' | 'run' | 'environment'> {
  const { transition, expectedVersion, principal, trace } = request;
  return {
    principal,
    body: { kind: 'submit', transition, expectedVersion },
    values: [jsonValue('args', request.arguments), ...traceValues(trace)],
  };
}
