import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { reloadPolicies } from '../../service/flows/reload.js';
import { answer, callerOf, jsonBody, route } from '../http/call.js';

export const reloadRoute = route({
  id: 'reloadPolicies',
  method: 'POST',
  path: '/v1/policies/reload',
  tag: 'Flows',
  summary: 'Load the policies folder again; on an error the last good one stays',
  params: z.object({}),
  query: api.noQuery,
  body: jsonBody(api.reloadBody),
  answers: { 200: { description: 'what changed', schema: answers.reloaded } },
  errors: ['POLICY_INVALID', 'CONFIRM_REQUIRED', 'HUMANS_ONLY', 'RATE_LIMITED'],
  handle: async (call, { body }) => {
    const reloaded = await reloadPolicies(callerOf(call), body.confirm ?? []);
    return reloaded.kind === 'refusal' ? reloaded : answer(200, reloaded.body);
  },
});
