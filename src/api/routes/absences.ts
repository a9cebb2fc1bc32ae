import { z } from 'zod';
import type { AbsenceJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as inbox from '../../model/contract/api-inbox-answers.js';
import { clearAbsence, readAbsence, setAbsence, type Absence } from '../../service/inbox/absences.js';
import type { Refusal } from '../../service/refusal.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../http/call.js';

const own = { tag: 'Approvals', path: '/v1/absences', params: z.object({}), query: api.noQuery } as const;
const absenceAnswer = { 200: { description: 'the absence', schema: inbox.absence } };

export const absenceRoutes: readonly Route[] = [
  route({
    ...own,
    id: 'getAbsence',
    method: 'GET',
    summary: "The caller's absence, past ones too until there is another",
    answers: absenceAnswer,
    errors: ['NOT_FOUND'],
    handle: async (call) => reply(await readAbsence(callerOf(call))),
  }),
  route({
    ...own,
    id: 'setAbsence',
    method: 'PUT',
    summary:
      "Say that you are away, and who looks at your inbox meanwhile. The delegate's rights stay what they are: shown is what it may decide itself",
    body: jsonBody(api.absenceBody),
    answers: absenceAnswer,
    errors: ['HUMANS_ONLY', 'DELEGATE_UNFIT'],
    handle: async (call, { body }) => reply(await setAbsence(callerOf(call), body)),
  }),
  route({
    ...own,
    id: 'clearAbsence',
    method: 'DELETE',
    summary: 'Say that you are back',
    answers: { 204: { description: 'nobody stands in any more' } },
    handle: async (call) => (await clearAbsence(callerOf(call))) ?? answer(204),
  }),
];

function reply(absence: Absence): Answer<200, AbsenceJson> | Refusal {
  return absence.kind === 'refusal' ? absence : answer(200, absence.body);
}
