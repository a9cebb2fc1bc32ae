import { z } from 'zod';
import type { ActionJson, SubmittedJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { submitErrors } from '../../model/contract/errors.js';
import type { Refusal } from '../../service/refusal.js';
import { readAction, type Polled } from '../../service/runs/action.js';
import { submitTransition, type Submitted } from '../../service/runs/submit.js';
import { answer, callerOf, jsonBody, route, type Answer, type Call, type Route } from '../http/call.js';
import type { Problem } from '../contract/problem.js';
import { patienceOf, watchRun } from '../http/long-poll.js';

const transitionParams = z.object({ id: api.shortText, transition: api.shortText });

export const transitionRoutes: readonly Route[] = [
  route({
    id: 'submitTransition',
    method: 'POST',
    path: '/v1/runs/{id}/transitions/{transition}',
    tag: 'Runs',
    summary: 'Submit a transition: checked, then executed at once or parked at its gate',
    idempotent: true,
    params: transitionParams,
    query: api.waitQuery,
    body: jsonBody(api.submitBody),
    answers: {
      200: { description: 'executed', schema: answers.submitted },
      202: { description: 'waits at its gate, or is still executing: poll', schema: answers.submitted },
    },
    errors: submitErrors,
    handle: async (call, { params: { id, transition }, query, body }) => {
      const made = await submitTransition(callerOf(call), { run: id, transition }, body, query.wait);
      return made.kind === 'refusal' ? made : submittedReply(made);
    },
  }),
  route({
    id: 'getAction',
    method: 'GET',
    path: '/v1/actions/{id}',
    tag: 'Runs',
    summary:
      'What became of a submitted action: the URL to poll. `wait=25s` or `Prefer: wait=25` answers as soon as it is settled',
    params: z.object({ id: api.shortText }),
    query: api.longPollQuery,
    answers: { 200: { description: 'the action', schema: answers.action } },
    handle: (call, { params, query }) => pollAction(call, params.id, query.wait),
  }),
];

/** How often clients are asked to poll. */
const pollSeconds = '2';

export function submittedReply(submitted: Submitted): Answer<200 | 202, SubmittedJson> {
  const { transition, body } = submitted;
  if (submitted.kind === 'executed') {
    const { output, chain } = submitted;
    return answer(200, { result: { status: 'executed', transition, output }, ...body, chain });
  }
  const poll = `/v1/actions/${submitted.action}`;
  const result: SubmittedJson['result'] =
    submitted.kind === 'pending'
      ? { status: 'pending', transition, approval: submitted.approval, poll }
      : { status: 'executing', transition, poll };
  return answer(202, { result, ...body }, { Location: poll, 'Retry-After': pollSeconds });
}

/** Answers at once without `wait`; else as soon as the action is settled, or as it stands when the time is up. */
async function pollAction(
  call: Call,
  id: string,
  wait: number | undefined,
): Promise<Answer<200, ActionJson> | Problem | Refusal> {
  const first = await readAction(callerOf(call), id);
  const patience = patienceOf(call, wait);
  if (first.kind === 'refusal' || first.isSettled || patience.ms === 0)
    return polledReply(first, patience.headers);
  const denied = await watchRun(call, first.run, patience, async () => {
    const found = await readAction(callerOf(call), id);
    return found.kind === 'refusal' || found.isSettled;
  });
  return denied ?? polledReply(await readAction(callerOf(call), id), patience.headers);
}

function polledReply(
  found: Polled | Refusal,
  headers: Readonly<Record<string, string>>,
): Answer<200, ActionJson> | Refusal {
  if (found.kind === 'refusal') return found;
  return answer(200, found.body, { ...headers, ...(found.isSettled ? {} : { 'Retry-After': pollSeconds }) });
}
