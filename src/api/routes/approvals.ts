import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import * as inbox from '../../model/api-inbox-answers.js';
import type { DecisionDoor } from '../../model/message.js';
import { getDecision } from '../../store/decisions.js';
import { bodyOf, listedDecision, visibleApproval } from '../approvals/body.js';
import { noteView } from '../approvals/view.js';
import { isOpen } from '../approvals/words.js';
import { answer, jsonBody, route, type Call, type Reply, type Route } from '../http/call.js';
import { decide } from '../approvals/decide.js';
import { listInbox } from './inbox.js';
import { patienceOf, watchRun } from '../http/long-poll.js';
import { notFound } from '../contract/problem.js';
import { visibleRun } from '../runs/run-body.js';

const idParams = z.object({ id: api.shortText });

export const approvalRoutes: readonly Route[] = [
  route({
    id: 'listApprovals',
    delegated: true,
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
    handle: (call, { query }) => listInbox(call, query),
  }),
  route({
    id: 'getApproval',
    delegated: true,
    method: 'GET',
    path: '/v1/approvals/{id}',
    tag: 'Approvals',
    summary:
      'One approval, with everything an approver needs. Reading decides nothing. `wait=25s` or `Prefer: wait=25` answers when it is no longer open',
    params: idParams,
    query: api.longPollQuery,
    answers: { 200: { description: 'the approval', schema: inbox.approval } },
    handle: (call, { params, query }) => read(call, params.id, query.wait),
  }),
  route({
    id: 'decideApproval',
    delegated: true,
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
    errors: [
      'NOT_AN_APPROVER',
      'ALREADY_DECIDED',
      'DIGEST_MISMATCH',
      'APPROVAL_REVOKED',
      'APPROVAL_EXPIRED',
      'DIGEST_REQUIRED',
      'REASON_REQUIRED',
      'ENGINE_UNAVAILABLE',
    ],
    handle: (call, { params, body }) => decide(call, params.id, body, doorOf(call)),
  }),
  route({
    id: 'getDecision',
    delegated: true,
    method: 'GET',
    path: '/v1/decisions/{id}',
    tag: 'Approvals',
    summary: 'What became of a decision',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'the decision', schema: inbox.decision } },
    handle: async (call, { params }) => {
      const row = await getDecision(call.deps.pool, params.id);
      if (row === null) return notFound('decision', params.id);
      const found = await visibleRun(call, row.run);
      if (found.kind === 'problem') return notFound('decision', params.id);
      return answer(200, { ...(await listedDecision(call.deps, row)), approval: row.approval });
    },
  }),
];

/** `wait`: until it is decided or ends otherwise. */
async function read(call: Call, id: string, wait: number | undefined): Promise<Reply> {
  const first = await visibleApproval(call, id);
  if (first.kind === 'problem') return first;
  await noteView(call, first);
  const patience = patienceOf(call, wait);
  if (patience.ms === 0) return answer(200, await bodyOf(call.deps, first, call.principal));
  const denied = await watchRun(call, first.row.run, patience, async () => {
    const now = await visibleApproval(call, id);
    return now.kind === 'problem' || !isOpen(now.row.status);
  });
  const found = denied ?? (await visibleApproval(call, id));
  if (found.kind === 'problem') return found;
  return answer(200, await bodyOf(call.deps, found, call.principal), patience.headers);
}

/** Our own command line says that it is it; the record says so, and nothing rests on it. */
function doorOf(call: Call): DecisionDoor {
  return call.request.headers['user-agent']?.startsWith('countersign-cli') === true ? 'cli' : 'rest';
}
