import { z } from 'zod';
import type { RunBodyJson, SubmittedJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { submitErrors } from '../../model/contract/errors.js';
import type { Refusal } from '../../service/refusal.js';
import { startRun, type Started } from '../../service/runs/start.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../http/call.js';
import { problemOf, type Problem } from '../contract/problem.js';
import { submittedReply } from './transitions.js';

const flowParams = z.object({ name: api.shortText });

export const startRoutes: readonly Route[] = [
  route({
    id: 'startRun',
    method: 'POST',
    path: '/v1/flows/{name}/runs',
    tag: 'Runs',
    summary: 'Start a run of a flow; with `submit`, submit its first transition too and answer as that does',
    idempotent: true,
    params: flowParams,
    query: api.waitQuery,
    body: jsonBody(api.startBody),
    answers: {
      200: { description: 'started, and what was submitted is executed', schema: answers.submitted },
      201: { description: 'the run has settled', schema: answers.runBody },
      202: {
        description:
          'started; no worker answers yet, or it is still executing, or what was submitted waits at its gate: poll',
        schema: z.union([answers.submitted, answers.runBody]),
      },
    },
    errors: ['FLOW_WITHDRAWN', 'VERSION_SUPERSEDED', ...submitErrors],
    handle: async (call, { params, query, body }) =>
      startedReply(await startRun(callerOf(call), params.name, body, query.wait)),
  }),
];

function startedReply(
  started: Started,
): Answer<200 | 202, SubmittedJson> | Answer<201 | 202, RunBodyJson> | Problem {
  if (started.kind === 'refusal') return problemOfStart(started);
  if (started.kind !== 'started') return submittedReply(started);
  const location = `/v1/runs/${started.run}`;
  if (started.hasSettled) return answer(201, started.body, { Location: location });
  return answer(
    202,
    { ...started.body, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}

/** If the first transition is refused, the run is started all the same. */
function problemOfStart(refused: Refusal): Problem {
  const { run } = refused.extra;
  const found = problemOf(refused);
  if (typeof run !== 'string') return found;
  return { ...found, headers: { ...found.headers, Location: `/v1/runs/${run}` } };
}
