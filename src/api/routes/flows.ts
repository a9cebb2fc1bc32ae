import { z } from 'zod';
import type { AnswerOf } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { checkFlow, publishFlow, type Published } from '../../service/flows/publish-text.js';
import { diffVersions, listFlows, readFlow, readVersion } from '../../service/flows/read.js';
import { withdrawFlow } from '../../service/flows/withdraw.js';
import type { Refusal } from '../../service/refusal.js';
import { answer, callerOf, flowBody, jsonBody, route, type Answer, type Route } from '../http/call.js';
import { reloadRoute } from './reload.js';

const nameParams = z.object({ name: api.shortText });
const versionParams = z.object({ name: api.shortText, version: api.indexText });

export const flowRoutes: readonly Route[] = [
  route({
    id: 'publishFlow',
    method: 'POST',
    path: '/v1/flows',
    tag: 'Flows',
    summary: 'Publish a version of exactly one flow, as JSON or YAML',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: flowBody,
    answers: {
      200: { description: 'that exact content is already published', schema: answers.published },
      201: { description: 'published', schema: answers.published },
    },
    errors: ['FLOW_INVALID', 'RATE_LIMITED'],
    handle: async (call, { body }) => {
      const made = await publishFlow(callerOf(call), body);
      return made.kind === 'refusal' ? made : publishedReply(made);
    },
  }),
  route({
    id: 'checkFlow',
    method: 'POST',
    path: '/v1/flows/check',
    tag: 'Flows',
    summary: 'The same validation without publishing',
    params: z.object({}),
    query: api.noQuery,
    body: flowBody,
    answers: { 200: { description: 'what the validation found', schema: answers.checked } },
    errors: ['RATE_LIMITED'],
    handle: async (call, { body }) => {
      const found = await checkFlow(callerOf(call), body);
      if (found.kind === 'refusal') return found;
      const { valid, errors, warnings } = found;
      return answer(200, { valid, errors, warnings });
    },
  }),
  route({
    id: 'listFlows',
    method: 'GET',
    path: '/v1/flows',
    tag: 'Flows',
    summary: 'The latest version of each flow',
    params: z.object({}),
    query: api.pageQuery,
    answers: { 200: { description: 'a page of flows', schema: answers.pageOf(answers.flowSummary) } },
    handle: async (call, { query }) => {
      const page = await listFlows(callerOf(call), query);
      return page.kind === 'refusal' ? page : answer(200, { data: page.data, nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'getFlow',
    method: 'GET',
    path: '/v1/flows/{name}',
    tag: 'Flows',
    summary: 'A flow and its versions',
    params: nameParams,
    query: api.noQuery,
    answers: { 200: { description: 'the flow', schema: answers.flow } },
    handle: async (call, { params }) => reply(await readFlow(callerOf(call), params.name)),
  }),
  route({
    id: 'getFlowVersion',
    method: 'GET',
    path: '/v1/flows/{name}/versions/{version}',
    tag: 'Flows',
    summary: 'One version: definition, compiled plan and graph',
    params: versionParams,
    query: api.noQuery,
    answers: { 200: { description: 'the version', schema: answers.flowVersion } },
    handle: async (call, { params }) => reply(await readVersion(callerOf(call), params.name, params.version)),
  }),
  route({
    id: 'withdrawFlow',
    method: 'POST',
    path: '/v1/flows/{name}/withdraw',
    tag: 'Flows',
    summary: 'No new runs of this flow from now on, until it is published again; runs under way go on',
    idempotent: true,
    params: nameParams,
    query: api.noQuery,
    body: jsonBody(api.reasonBody),
    answers: { 200: { description: 'the flow', schema: answers.flow } },
    errors: ['FLOW_WITHDRAWN'],
    handle: async (call, { params, body }) =>
      reply(await withdrawFlow(callerOf(call), params.name, body.reason)),
  }),
  route({
    id: 'diffFlow',
    method: 'GET',
    path: '/v1/flows/{name}/diff',
    tag: 'Flows',
    summary: 'What changed between two versions, and what it permits: widest first',
    params: nameParams,
    query: api.diffQuery,
    answers: { 200: { description: 'the differences', schema: answers.flowDiff } },
    handle: async (call, { params, query }) => reply(await diffVersions(callerOf(call), params.name, query)),
  }),
  reloadRoute,
];

function reply<Body>(
  found: { readonly kind: string; readonly body: Body } | Refusal,
): Answer<200, Body> | Refusal {
  return 'body' in found ? answer(200, found.body) : found;
}

function publishedReply({
  flow: { created, ...made },
  warnings,
}: Published): Answer<200 | 201, AnswerOf<typeof answers.published>> {
  const location = `/v1/flows/${encodeURIComponent(made.name)}/versions/${made.version}`;
  return answer(created ? 201 : 200, { ...made, warnings }, { Location: location });
}
