import { z } from 'zod';
import type { RunBodyJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { cancelRun, retryRun, type Operated } from '../../service/runs/operate.js';
import { listRuns, readRun } from '../../service/runs/read.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../http/call.js';

const runParams = z.object({ id: api.shortText });

export const runRoutes: readonly Route[] = [
  route({
    id: 'listRuns',
    method: 'GET',
    path: '/v1/runs',
    tag: 'Runs',
    summary: 'The runs that the caller may see, newest first',
    params: z.object({}),
    query: api.runsQuery,
    answers: { 200: { description: 'a page of runs', schema: answers.pageOf(answers.run) } },
    handle: async (call, { query }) => {
      const page = await listRuns(callerOf(call), query);
      return page.kind === 'refusal' ? page : answer(200, { data: page.data, nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'getRun',
    method: 'GET',
    path: '/v1/runs/{id}',
    tag: 'Runs',
    summary: 'A run, with the legal next steps for the caller',
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'the run', schema: answers.runBody } },
    handle: async (call, { params }) => {
      const found = await readRun(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, found.body);
    },
  }),
  operation('cancel', 'Cancel a run: what is open is revoked, an effect under way is recorded first'),
  operation('retry', 'Do again what a stuck run is stuck on'),
];

function operation(name: 'cancel' | 'retry', summary: string): Route {
  return route({
    id: `${name}Run`,
    method: 'POST',
    path: `/v1/runs/{id}/${name}`,
    tag: 'Runs',
    summary,
    idempotent: true,
    params: runParams,
    query: api.waitQuery,
    body: jsonBody(api.reasonBody),
    answers: {
      200: { description: 'the run', schema: answers.runBody },
      202: {
        description:
          'durable, and the run has not settled: it has not taken it yet, or what is under way has its outcome first',
        schema: answers.runBody,
      },
    },
    errors:
      name === 'retry'
        ? [
            'NOT_STUCK',
            'RUN_STUCK',
            'STALE_VERSION',
            'HUMANS_ONLY',
            'BLOCKED',
            'GUARD_REJECTED',
            'RUN_CLOSED',
            'RUN_BUSY',
            'ENGINE_UNAVAILABLE',
            'KEY_UNOPENED',
          ]
        : ['RUN_CLOSED', 'RUN_STUCK', 'ENGINE_UNAVAILABLE'],
    handle: async (call, { params: { id }, query, body: { reason } }) => {
      const act = name === 'cancel' ? cancelRun : retryRun;
      const operated = await act(callerOf(call), id, reason, query.wait);
      return operated.kind === 'refusal' ? operated : operatedReply(id, operated);
    },
  });
}

function operatedReply(id: string, { hasSettled, body }: Operated): Answer<200 | 202, RunBodyJson> {
  if (hasSettled) return answer(200, body);
  const location = `/v1/runs/${id}`;
  return answer(
    202,
    { ...body, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}
