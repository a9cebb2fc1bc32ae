import { z } from 'zod';
import type { ApprovalJson, DecidedJson } from '../../../model/contract/answer-types.js';
import * as api from '../../../model/contract/api.js';
import * as answers from '../../../model/contract/api-answers.js';
import * as inbox from '../../../model/contract/api-inbox-answers.js';
import { decisionErrors } from '../../../model/contract/errors.js';
import type { DecisionDoor } from '../../../model/message.js';
import { bodyOf } from '../../../service/approvals/body/body.js';
import { decide, readDecision, type Decided } from '../../../service/approvals/decide.js';
import { visibleApproval, isUndecided } from '../../../service/approvals/look.js';
import { listInbox } from '../../../service/inbox/inbox.js';
import type { Refusal } from '../../../service/refusal.js';
import { answer, callerOf, jsonBody, route, type Answer, type Call, type Route } from '../../http/call.js';
import { noteOpened } from '../../http/opened.js';
import type { Problem } from '../../contract/problem.js';
import { patienceOf, watchRun } from '../../http/long-poll.js';

const idParams = z.object({ id: api.shortText });

export const approvalRoutes: readonly Route[] = [
  route({
    id: 'listApprovals',
    method: 'GET',
    path: '/v1/approvals',
    tag: 'Approvals',
    summary: 'Approvals of runs that the caller may see; `mine=true`: what the caller may decide now',
    params: z.object({}),
    query: api.approvalsQuery,
    answers: {
      200: {
        description: 'a page of approvals: the riskiest first and of those the oldest, unless `order=age`',
        schema: answers.pageOf(inbox.approval),
      },
    },
    // Of a saved inbox that `view` names.
    errors: ['NOT_FOUND'],
    handle: async (call, { query }) => {
      const page = await listInbox(callerOf(call), query);
      return page.kind === 'refusal' ? page : answer(200, { data: page.data, nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'getApproval',
    method: 'GET',
    path: '/v1/approvals/{id}',
    tag: 'Approvals',
    summary:
      'One approval, with everything an approver needs. Reading decides nothing. `wait=25s` or `Prefer: wait=25` answers when it is no longer open',
    params: idParams,
    query: api.longPollQuery,
    answers: { 200: { description: 'the approval', schema: inbox.approval } },
    handle: (call, { params, query }) => answerApproval(call, params.id, query.wait),
  }),
  route({
    id: 'decideApproval',
    method: 'POST',
    path: '/v1/approvals/{id}/decision',
    tag: 'Approvals',
    summary: 'Approve or deny exactly what was shown, by its digest',
    idempotent: true,
    params: idParams,
    query: api.noQuery,
    body: jsonBody(api.decisionBody),
    answers: {
      200: { description: 'the run has taken the decision', schema: inbox.decided },
      202: { description: 'durable, and not yet applied', schema: inbox.decided },
    },
    errors: decisionErrors,
    handle: async (call, { params, body }) => {
      const found = await visibleApproval(callerOf(call), params.id);
      if (found.kind === 'refusal') return found;
      return decidedReply(await decide(callerOf(call), found, body, { via: doorOf(call) }));
    },
  }),
  route({
    id: 'getDecision',
    method: 'GET',
    path: '/v1/decisions/{id}',
    tag: 'Approvals',
    summary: 'What became of a decision',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'the decision', schema: inbox.decision } },
    handle: async (call, { params }) => {
      const found = await readDecision(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, found.body);
    },
  }),
];

function decidedReply(decided: Decided | Refusal): Answer<200 | 202, DecidedJson> | Refusal {
  switch (decided.kind) {
    case 'refusal':
      return decided;
    case 'applied':
      return answer(200, { approval: decided.approval, run: decided.run });
    case 'accepted': {
      const href = `/v1/decisions/${decided.decisionId}`;
      const decision = { id: decided.decisionId, href, status: 'accepted' } as const;
      return answer(202, { decision }, { Location: href, 'Retry-After': '2' });
    }
  }
}

/** `wait`: seconds to wait until the approval is decided or ends otherwise. */
async function answerApproval(
  call: Call,
  id: string,
  wait: number | undefined,
): Promise<Answer<200, ApprovalJson> | Problem | Refusal> {
  const first = await visibleApproval(callerOf(call), id);
  if (first.kind === 'refusal') return first;
  await noteOpened(call, first);
  const patience = patienceOf(call, wait);
  if (patience.ms === 0) return answer(200, await bodyOf(call.deps, first, call.principal));
  const denied = await watchRun(call, first.row.run, patience, async () => {
    const now = await visibleApproval(callerOf(call), id);
    return now.kind === 'refusal' || !isUndecided(now);
  });
  if (denied !== null) return denied;
  const found = await visibleApproval(callerOf(call), id);
  if (found.kind === 'refusal') return found;
  return answer(200, await bodyOf(call.deps, found, call.principal), patience.headers);
}

/** Our own command line names itself, and only the record says so: nothing depends on it. */
function doorOf(call: Call): DecisionDoor {
  return call.request.headers['user-agent']?.startsWith('countersign-cli') === true ? 'cli' : 'rest';
}
