import type { MessageDraft } from './replay/attest.js';
import { jsonValue, refsToCome, refuseTooLarge, traceValues } from './replay/attest.js';
import { post } from './post.js';
import type { Foreseen, MessageOutcome, SubmitRequest } from './types.js';
import type { ClientDeps } from './deps.js';
import type { Waiter } from './waiter.js';

export async function submit(
  deps: ClientDeps,
  waiter: Waiter,
  request: SubmitRequest,
): Promise<MessageOutcome> {
  const { run, messageId: id, waitMs, expectedVersion, whileOurs } = request;
  const asked = makeSubmission(request);
  const isTooLarge = refuseTooLarge(asked.values) !== null;
  return post(deps, waiter, {
    run,
    id,
    kind: 'submit',
    waitMs,
    expectedVersion,
    whileOurs,
    foreseen: isTooLarge ? null : await foreseeAlone(request, asked),
    make: () => asked,
  });
}

/** Runs for which this process is finding out what a submit would lead to. */
const foreseeing = new Set<string>();

/**
 * One submit to a run at a time is foreseen; null: another one is. Where a run is asked several things at once it has the last word,
 * so what is foreseen for the others would be thrown away, and they would wait for it before they are counted.
 */
async function foreseeAlone(
  { run, foresee }: SubmitRequest,
  { values }: Pick<MessageDraft, 'values'>,
): Promise<Foreseen | null> {
  if (foresee === undefined || foreseeing.has(run)) return null;
  foreseeing.add(run);
  try {
    return await foresee(refsToCome(values));
  } finally {
    foreseeing.delete(run);
  }
}

/** The message of a submit, with its arguments and the agent's reasoning. */
export function makeSubmission(request: SubmitRequest): Omit<MessageDraft, 'id' | 'run' | 'environment'> {
  const { transition, expectedVersion, principal, trace } = request;
  return {
    principal,
    body: { kind: 'submit', transition, expectedVersion },
    values: [jsonValue('args', request.arguments), ...traceValues(trace)],
  };
}
