import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { readEntry, readRecords, type RecordFilter } from '../../audit/index.js';
import { decodeCursor, encodeCursor } from '../../store/cursor.js';
import { storable } from '../../store/instant.js';
import { answer, route, type Call, type Reply, type Route } from '../http/call.js';
import { badCursor, notFound, problem, type Problem } from '../contract/problem.js';
import { reconstruct } from '../runs/reconstruction.js';
import { visibleRun } from '../runs/run-body.js';

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
      const found = await visibleRun(call, params.id);
      return found.kind === 'problem' ? found : page(call, query, { run: params.id, includeAbout: true });
    },
  }),
  route({
    id: 'audit',
    method: 'GET',
    path: '/v1/audit',
    tag: 'Audit',
    summary: 'Records of all runs and of the service, by log index',
    permission: 'audit.read',
    params: z.object({}),
    query: api.auditQuery,
    answers: { 200: { description: 'a page of records', schema: answers.auditPage } },
    handle: (call, { query: { run, flow, ...query } }) =>
      page(call, query, {
        ...(run === undefined ? {} : { run, includeAbout: true }),
        ...(flow === undefined ? {} : { flow }),
      }),
  }),
  route({
    id: 'auditEntry',
    method: 'GET',
    path: '/v1/audit/entries/{index}',
    tag: 'Audit',
    summary: 'The exact bytes of one record, as they were hashed',
    permission: 'audit.read',
    params: z.object({ index: api.indexText }),
    query: api.noQuery,
    answers: { 200: { description: 'the bytes', media: 'application/json' } },
    handle: async (call, { params }) => {
      const bytes = await readEntry(call.deps.pool, params.index);
      if (bytes === null) return notFound('audit entry', String(params.index));
      return { kind: 'answer', status: 200, body: bytes, media: 'application/json' };
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
      const found = await visibleRun(call, params.id);
      return found.kind === 'problem' ? found : answer(200, await reconstruct(call.deps, found.row));
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
      const found = await visibleRun(call, params.id);
      if (found.kind === 'problem') return found;
      const history = await call.deps.client.history(params.id);
      return history === null ? notFound('history of run', params.id) : answer(200, history);
    },
  }),
  route({
    id: 'replayRun',
    method: 'POST',
    path: '/v1/runs/{id}/replay',
    tag: 'Audit',
    summary: 'Replay the history against this build, and compare it with the record',
    permission: 'audit.read',
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'what was checked', schema: answers.replayed } },
    errors: ['ENGINE_UNAVAILABLE', 'RATE_LIMITED'],
    handle: async (call, { params }) => {
      const found = await visibleRun(call, params.id);
      if (found.kind === 'problem') return found;
      const report = await call.deps.client.replay(params.id);
      return report === 'busy' ? tooManyReplays() : answer(200, report);
    },
  }),
];

/** Listed only where `type` asks for it. */
export const unlisted: readonly string[] = ['api.called'];

type Query = Omit<z.output<typeof api.auditQuery>, 'run' | 'flow'>;

/** A page stays within the size that its first page had: records that come meanwhile do not move it. */
async function page(
  call: Call,
  query: Query,
  scope: Pick<RecordFilter, 'run' | 'includeAbout' | 'flow'>,
): Promise<Reply> {
  const from = query.cursor === undefined ? [-1, query.asOf ?? -1] : decodeCursor(query.cursor, 2);
  const [afterIndex, asOf] = from ?? [];
  if (typeof afterIndex !== 'number' || typeof asOf !== 'number') return badCursor();
  const { actor, type, verdict } = query;
  const {
    items: data,
    asOfSize,
    more,
  } = await readRecords(call.deps.pool, {
    ...scope,
    ...(actor === undefined ? {} : { actor }),
    ...(type === undefined ? { notType: unlisted } : { type }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(query.from === undefined ? {} : { from: storable(query.from) }),
    ...(query.to === undefined ? {} : { to: storable(query.to) }),
    afterIndex,
    ...(asOf < 0 ? {} : { asOfSize: asOf }),
    limit: query.limit,
  });
  const last = data.at(-1);
  const nextCursor = more && last !== undefined ? encodeCursor([last.index, asOfSize]) : null;
  return answer(200, { data, nextCursor, asOfSize });
}

function tooManyReplays(): Problem {
  return problem(
    'RATE_LIMITED',
    'as many replays wait as this process takes: try again',
    {},
    { 'Retry-After': '5' },
  );
}
