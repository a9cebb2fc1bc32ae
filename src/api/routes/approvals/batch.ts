import { z } from 'zod';
import * as api from '../../../model/contract/api.js';
import * as inbox from '../../../model/contract/api-inbox-answers.js';
import { isObject } from '../../../model/values/json.js';
import { decideBatch, type AskAgain } from '../../../service/approvals/batch/batch.js';
import { refusal } from '../../../service/refusal.js';
import { retryHeader } from '../../contract/problem.js';
import { answer, callerOf, jsonBody, route, type Call, type Route } from '../../http/call.js';
import { authenticate } from '../../http/identify.js';

export const batchRoutes: readonly Route[] = [
  route({
    id: 'decideBatch',
    method: 'POST',
    path: '/v1/approvals/batch',
    tag: 'Approvals',
    summary:
      'Decide up to 100 approvals: a dry run first, whose `token` the real call names. `mode: all` decides nothing unless each would be taken, and stops at the first that is refused after all',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.batchBody),
    approvalsIn,
    looksOnly: (body) => isObject(body) && body['dryRun'] !== false,
    answers: { 200: { description: 'one result each, in the same order', schema: inbox.batch } },
    errors: ['DRY_RUN_REQUIRED', 'BATCH_REFUSED', 'NOT_FOUND'],
    handle: async (call, { body }) => {
      const made = await decideBatch(callerOf(call), body, makeAskAgain(call));
      if (made.kind === 'refusal') return made;
      return answer(200, made.body, retryHeader(made.retryAfter));
    },
  }),
];

function makeAskAgain(call: Call): AskAgain {
  return async (trail) => {
    const own: Call = { ...call, trail };
    const denied = await authenticate(own);
    if (denied !== null) return refusal(denied.code, denied.detail, denied.extra);
    const { principal, rights } = callerOf(own);
    return { kind: 'principal', principal, rights };
  };
}

function approvalsIn(body: unknown, kept: unknown): readonly string[] {
  const read = api.batchBody.safeParse(body);
  const told = keptResults.safeParse(kept);
  const unknown = told.success ? told.data.results.filter(tellsNothing).map(({ approval }) => approval) : [];
  return read.success
    ? read.data.decisions.map(({ approval }) => approval).filter((id) => !unknown.includes(id))
    : [];
}

/** The results in a batch's answer, and in its refusal. */
const keptResults = z.object({
  results: z.array(
    z.object({ approval: z.string(), code: z.string().optional(), summary: z.unknown().optional() }),
  ),
});

/** The result says only that the approval does not exist, or is not for the caller to see. */
function tellsNothing({ code, summary }: z.output<typeof keptResults>['results'][number]): boolean {
  return code === 'NOT_FOUND' && summary === undefined;
}
