import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { listRuns } from '../../store/runs.js';
import {
  answer,
  effectId,
  jsonBody,
  principalOf,
  route,
  viewer,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import { badCursor } from '../contract/problem.js';
import { currentBody, runBody, runObject, visibleRun } from '../runs/run-body.js';
import { refusal } from '../http/refusal.js';
import { askingOf } from '../http/effect.js';

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
    handle: async (call, { query: { cursor = null, ...filter } }) => {
      const page = await listRuns(call.deps.pool, { ...filter, viewer: viewer(call), cursor });
      if (page === null) return badCursor();
      return answer(200, { data: page.items.map(runObject), nextCursor: page.nextCursor });
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
      const found = await visibleRun(call, params.id);
      return found.kind === 'problem'
        ? found
        : answer(200, await runBody(call.deps, found.row, principalOf(call)));
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
    permission: 'run.operate',
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
          ]
        : ['RUN_CLOSED', 'RUN_STUCK', 'ENGINE_UNAVAILABLE'],
    handle: (call, { params, query, body }) => operate(call, name, params.id, body.reason, query.wait),
  });
}

async function operate(
  call: Call,
  name: 'cancel' | 'retry',
  id: string,
  reason: string,
  wait: number,
): Promise<Reply> {
  const found = await visibleRun(call, id);
  if (found.kind === 'problem') return found;
  const request = {
    ...askingOf(call, wait),
    run: id,
    messageId: effectId(call, 'msg'),
    reason,
  };
  const outcome = await (name === 'cancel'
    ? call.deps.client.cancel(request)
    : call.deps.client.retry(request));
  const refused = await refusal(call, id, outcome);
  if (refused !== null) return refused;
  const { row, body } = await currentBody(call, id);
  const location = `/v1/runs/${id}`;
  const hasSettled = outcome.status === 'answered' && row.executing === null;
  if (hasSettled) return answer(200, body);
  return answer(
    202,
    { ...body, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}
