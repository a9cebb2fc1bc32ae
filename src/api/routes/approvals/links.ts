import { z } from 'zod';
import * as api from '../../../model/contract/api.js';
import * as inbox from '../../../model/contract/api-inbox-answers.js';
import { listOwnLinks, makeOwnLink, revokeOwnLink } from '../../../service/approvals/links/links.js';
import { answer, callerOf, jsonBody, route, type Route } from '../../http/call.js';

const idParams = z.object({ id: api.shortText });
const linkParams = z.object({ id: api.shortText, link: api.shortText });

export const approvalLinkRoutes: readonly Route[] = [
  route({
    id: 'makeLink',
    method: 'POST',
    path: '/v1/approvals/{id}/links',
    tag: 'Approvals',
    summary: 'A single-use link to this approval for yourself, to decide it from a browser; shown once',
    params: idParams,
    query: api.noQuery,
    body: jsonBody(api.linkBody),
    answers: { 201: { description: 'the link', schema: inbox.madeLink } },
    errors: ['NOT_AN_APPROVER', 'ALREADY_DECIDED', 'APPROVAL_EXPIRED', 'APPROVAL_REVOKED', 'RATE_LIMITED'],
    handle: async (call, { params, body }) => {
      const made = await makeOwnLink(callerOf(call), params.id, body.minutes);
      if (made.kind === 'refusal') return made;
      return answer(201, { id: made.id, path: `/links/${made.token}`, expiresAt: made.expiresAt });
    },
  }),
  route({
    id: 'listLinks',
    method: 'GET',
    path: '/v1/approvals/{id}/links',
    tag: 'Approvals',
    summary: 'Your links to this approval, without their secrets',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'your links', schema: inbox.approvalLinks } },
    handle: async (call, { params }) => {
      const found = await listOwnLinks(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, { data: found.links });
    },
  }),
  route({
    id: 'revokeLink',
    method: 'DELETE',
    path: '/v1/approvals/{id}/links/{link}',
    tag: 'Approvals',
    summary: 'Make a link of yours useless',
    params: linkParams,
    query: api.noQuery,
    answers: { 204: { description: 'it opens nothing any more' } },
    handle: async (call, { params }) =>
      (await revokeOwnLink(callerOf(call), params.id, params.link)) ?? answer(204),
  }),
];
