import { z } from 'zod';
import type { ApprovalJson } from '../../../model/contract/answer-types.js';
import * as api from '../../../model/contract/api.js';
import * as inbox from '../../../model/contract/api-inbox-answers.js';
import {
  claimApproval,
  delegateApproval,
  releaseApproval,
  type ClaimResult,
} from '../../../service/approvals/claims.js';
import type { Refusal } from '../../../service/refusal.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../../http/call.js';

const each = {
  method: 'POST',
  tag: 'Approvals',
  params: z.object({ id: api.shortText }),
  query: api.noQuery,
  answers: { 200: { description: 'the approval', schema: inbox.approval } },
  errors: ['NOT_AN_APPROVER', 'ALREADY_DECIDED', 'APPROVAL_REVOKED', 'APPROVAL_EXPIRED'],
} as const;

/** Claims and delegations say who works on an approval. They decide nothing, block no decision, and give no right. */
export const claimRoutes: readonly Route[] = [
  route({
    ...each,
    id: 'claimApproval',
    path: '/v1/approvals/{id}/claim',
    summary:
      'Say that you are looking at it, for 15 minutes unless `for` says otherwise. Others may decide it all the same',
    body: jsonBody(api.claimBody),
    handle: async (call, { params, body }) => reply(await claimApproval(callerOf(call), params.id, body.for)),
  }),
  route({
    ...each,
    id: 'releaseApproval',
    path: '/v1/approvals/{id}/release',
    summary: 'Say that you no longer look at it',
    errors: [],
    handle: async (call, { params }) => reply(await releaseApproval(callerOf(call), params.id)),
  }),
  route({
    ...each,
    id: 'delegateApproval',
    path: '/v1/approvals/{id}/delegate',
    summary: 'Hand it to a person who may decide it. That gives no right, and takes none',
    body: jsonBody(api.delegateBody),
    errors: [...each.errors, 'DELEGATE_UNFIT', 'KEY_UNOPENED'],
    handle: async (call, { params, body }) => reply(await delegateApproval(callerOf(call), params.id, body)),
  }),
];

function reply(told: ClaimResult): Answer<200, ApprovalJson> | Refusal {
  return told.kind === 'refusal' ? told : answer(200, told.body);
}
