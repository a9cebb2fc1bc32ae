import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { historyOfRun, reconstructRun, replayRun } from '../../service/audit/history.js';
import { listRecords, readRecord, recordsOfRun, type AuditPage } from '../../service/audit/records.js';
import type { Refusal } from '../../service/refusal.js';
import { answer, callerOf, route, type Answer, type Route } from '../http/call.js';

const runParams = z.object({ id: api.shortText });

export const auditRoutes: readonly Route[] = [
  route({
    id: 'auditRun',
    method: 'GET',
    path: '/v1/runs/{id}/audit',
    tag: 'Audit',
    summary: "A run's own chain and the service's records about it",
    params: runParams,
    query: api.runAuditQuery,
    answers: { 200: { description: 'a page of records', schema: answers.auditPage } },
    handle: async (call, { params, query }) => {
      return pageReply(await recordsOfRun(callerOf(call), params.id, query));
    },
  }),
  route({
    id: 'audit',
    method: 'GET',
    path: '/v1/audit',
    tag: 'Audit',
    summary: 'Records of all runs and of the service, by log index',
    params: z.object({}),
    query: api.auditQuery,
    answers: { 200: { description: 'a page of records', schema: answers.auditPage } },
    handle: async (call, { query }) => pageReply(await listRecords(callerOf(call), query)),
  }),
  route({
    id: 'auditEntry',
    method: 'GET',
    path: '/v1/audit/entries/{index}',
    tag: 'Audit',
    summary: 'The exact bytes of one record, as they were hashed',
    params: z.object({ index: api.indexText }),
    query: api.noQuery,
    answers: { 200: { description: 'the bytes', media: 'application/json' } },
    handle: async (call, { params }) => {
      const found = await readRecord(callerOf(call), params.index);
      if (found.kind === 'refusal') return found;
      return { kind: 'answer', status: 200, body: found.bytes, media: 'application/json' };
    },
  }),
  route({
    id: 'reconstructRun',
    method: 'GET',
    path: '/v1/runs/{id}/reconstruction',
    tag: 'Audit',
    summary: 'Each action of a run, put together from the record, with what is missing',
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'the actions', schema: answers.reconstruction } },
    handle: async (call, { params }) => {
      const found = await reconstructRun(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, found.body);
    },
  }),
  route({
    id: 'runHistory',
    method: 'GET',
    path: '/v1/runs/{id}/history',
    tag: 'Audit',
    summary: "Temporal's own history of a run",
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'the events', schema: answers.history } },
    errors: ['ENGINE_UNAVAILABLE'],
    handle: async (call, { params }) => {
      const found = await historyOfRun(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, found.history);
    },
  }),
  route({
    id: 'replayRun',
    method: 'POST',
    path: '/v1/runs/{id}/replay',
    tag: 'Audit',
    summary: 'Replay the history against this build, and compare it with the record',
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'what was checked', schema: answers.replayed } },
    errors: ['ENGINE_UNAVAILABLE', 'RATE_LIMITED'],
    handle: async (call, { params }) => {
      const found = await replayRun(callerOf(call), params.id);
      return found.kind === 'refusal' ? found : answer(200, found.report);
    },
  }),
];

function pageReply(page: AuditPage | Refusal): Answer<200, Omit<AuditPage, 'kind'>> | Refusal {
  if (page.kind === 'refusal') return page;
  const { data, nextCursor, asOfSize } = page;
  return answer(200, { data, nextCursor, asOfSize });
}
