import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import type { Json } from '../../model/json.js';
import type { Answer as RunAnswer } from '../../engine/state.js';
import { getAction } from '../../store/actions.js';
import { getApproval } from '../../store/approvals.js';
import { submitErrors } from '../../model/errors.js';
import type { MessageOutcome, SubmitRequest } from '../../client/types.js';
import { answer, effectId, jsonBody, route, type Call, type Reply, type Route } from '../http/call.js';
import type { ApiDeps } from '../deps.js';
import { pollAction, pollSeconds, readOutput } from './poll.js';
import { refusal } from '../http/refusal.js';
import { currentBody, visibleRun } from '../runs/run-body.js';
import { askingOf } from '../http/effect.js';

const transitionParams = z.object({ id: api.shortText, transition: api.shortText });

export const transitionRoutes: readonly Route[] = [
  route({
    id: 'submitTransition',
    method: 'POST',
    path: '/v1/runs/{id}/transitions/{transition}',
    tag: 'Runs',
    summary: 'Submit a transition: checked, then executed at once or parked at its gate',
    permission: 'run.start',
    idempotent: true,
    params: transitionParams,
    query: api.waitQuery,
    body: jsonBody(api.submitBody),
    answers: {
      200: { description: 'executed', schema: answers.submitted },
      202: { description: 'waits at its gate, or is still executing: poll', schema: answers.submitted },
    },
    errors: submitErrors,
    handle: (call, { params, query, body }) => submit(call, params, body, query.wait),
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

async function submit(
  call: Call,
  { id, transition }: z.output<typeof transitionParams>,
  body: z.output<typeof api.submitBody>,
  wait: number,
): Promise<Reply> {
  const found = await visibleRun(call, id);
  if (found.kind === 'problem') return found;
  const request = {
    ...askingOf(call, wait),
    run: id,
    messageId: effectId(call, 'msg'),
    transition,
    arguments: body.arguments ?? {},
    expectedVersion: body.expectedVersion ?? null,
    trace: body.trace ?? null,
  };
  return submitReply(call, request, await call.deps.client.submit(request));
}

type Submitted = Pick<SubmitRequest, 'run' | 'transition' | 'messageId'>;

/** The answer to a submit, however it came to its run. */
export async function submitReply(call: Call, request: Submitted, outcome: MessageOutcome): Promise<Reply> {
  const refused = await refusal(call, request.run, outcome);
  if (refused !== null) return refused;
  if (outcome.status === 'answered') return settled(call, request, outcome.answer);
  // After an attempt that was withdrawn, it has another id than the request first gave it.
  const messageId = outcome.status === 'executing' ? outcome.messageId : request.messageId;
  return executing(call, { ...request, messageId });
}

async function settled(call: Call, request: Submitted, said: RunAnswer): Promise<Reply> {
  if (said.status === 'pending') return pending(call, request.run, said);
  if (said.status !== 'executed') return executing(call, request);
  const output = await outputOf(call.deps, said.action);
  const { body } = await currentBody(call, request.run);
  return answer(200, {
    result: { status: 'executed', transition: said.transition, output },
    ...body,
    chain: said.chain,
  });
}

async function executing(call: Call, { run, transition, messageId }: Submitted): Promise<Reply> {
  const poll = `/v1/actions/${actionOf(messageId)}`;
  const { body } = await currentBody(call, run);
  return answer(
    202,
    { result: { status: 'executing', transition, poll }, ...body },
    { Location: poll, 'Retry-After': pollSeconds },
  );
}

/** Both ids have the same digits: an action can be polled before the run has taken its message. */
function actionOf(messageId: string): string {
  return `act_${messageId.slice('msg_'.length)}`;
}

async function pending(
  call: Call,
  run: string,
  said: Extract<RunAnswer, { status: 'pending' }>,
): Promise<Reply> {
  const poll = `/v1/actions/${said.action}`;
  const [{ body }, opened] = await Promise.all([
    currentBody(call, run),
    getApproval(call.deps.pool, said.approval),
  ]);
  if (opened === null) throw new Error(`approval ${said.approval} of run ${run} is not in the store`);
  const { id, digest, roles, expiresAt } = opened;
  const approval = { id, href: `/v1/approvals/${id}`, digest, roles, expiresAt: expiresAt ?? '' };
  const result = { status: 'pending', transition: said.transition, approval, poll };
  return answer(202, { result, ...body }, { Location: poll, 'Retry-After': pollSeconds });
}

async function outputOf(deps: ApiDeps, action: string): Promise<Json> {
  const row = await getAction(deps.pool, action);
  return row === null ? null : readOutput(deps, row);
}
