import { z } from 'zod';
import * as api from '../model/api.js';
import * as answers from '../model/api-answers.js';
import type { ApprovalState } from '../engine/state.js';
import { mayDecide } from '../engine/index.js';
import { listApprovals, type ApprovalRow } from '../store/approvals.js';
import { decisionsOf, getDecision } from '../store/decisions.js';
import { getRun } from '../store/runs.js';
import { approvalBody, bodyOf, listedDecision, visibleApproval } from './approval-body.js';
import { answer, jsonBody, principalOf, route, viewer, type Call, type Reply, type Route } from './call.js';
import { decide } from './decide.js';
import type { ApiDeps } from './deps.js';
import { badCursor, notFound } from './problem.js';
import { stateOf, visibleRun } from './run-body.js';

const idParams = z.object({ id: api.shortText });

export const approvalRoutes: readonly Route[] = [
  route({
    id: 'listApprovals',
    method: 'GET',
    path: '/v1/approvals',
    tag: 'Approvals',
    summary: 'Approvals of runs that the caller may see; `mine=true`: what the caller may decide now',
    params: z.object({}),
    query: api.approvalsQuery,
    answers: {
      200: { description: 'a page of approvals, oldest first', schema: answers.pageOf(answers.approval) },
    },
    handle: (call, { query }) => list(call, query),
  }),
  route({
    id: 'getApproval',
    method: 'GET',
    path: '/v1/approvals/{id}',
    tag: 'Approvals',
    summary: 'One approval, with everything an approver needs. Reading decides nothing',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'the approval', schema: answers.approval } },
    handle: (call, { params }) => read(call, params.id),
  }),
  route({
    id: 'decideApproval',
    method: 'POST',
    path: '/v1/approvals/{id}/decision',
    tag: 'Approvals',
    summary: 'Approve or deny exactly what was shown, by its digest',
    idempotent: true,
    params: idParams,
    query: api.noQuery,
    body: jsonBody(api.decisionBody),
    answers: {
      200: { description: 'the run has taken the decision', schema: answers.decided },
      202: { description: 'durable, and not yet applied', schema: answers.decided },
    },
    errors: [
      'NOT_AN_APPROVER',
      'ALREADY_DECIDED',
      'DIGEST_MISMATCH',
      'APPROVAL_REVOKED',
      'APPROVAL_EXPIRED',
      'DIGEST_REQUIRED',
      'REASON_REQUIRED',
      'ENGINE_UNAVAILABLE',
    ],
    handle: (call, { params, body }) => decide(call, params.id, body),
  }),
  route({
    id: 'getDecision',
    method: 'GET',
    path: '/v1/decisions/{id}',
    tag: 'Approvals',
    summary: 'What became of a decision',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'the decision', schema: answers.decision } },
    handle: async (call, { params }) => {
      const row = await getDecision(call.deps.pool, params.id);
      if (row === null) return notFound('decision', params.id);
      const found = await visibleRun(call, row.run);
      if (found.kind === 'problem') return notFound('decision', params.id);
      return answer(200, { ...(await listedDecision(call.deps, row)), approval: row.approval });
    },
  }),
];

async function read(call: Call, id: string): Promise<Reply> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  if (principalOf(call).kind === 'human') {
    call.facts.push({ type: 'approval.viewed', approval: id, data: { status: found.row.status } });
  }
  return answer(200, await bodyOf(call.deps, found));
}

async function list(call: Call, query: z.output<typeof api.approvalsQuery>): Promise<Reply> {
  const { cursor = null, mine = false, limit, ...filter } = query;
  const found: { row: ApprovalRow; state: ApprovalState | null }[] = [];
  let next = cursor;
  // Roles alone do not make an approver: who asked, or has decided, is left out, so a page may take several reads.
  do {
    const page = await listApprovals(call.deps.pool, {
      ...filter,
      mine,
      viewer: viewer(call),
      limit: limit - found.length,
      cursor: next,
    });
    if (page === null) return badCursor();
    const states = await statesOf(call.deps, page.items);
    found.push(
      ...page.items
        .map((row) => ({ row, state: states.get(row.id) ?? null }))
        .filter(({ state }) => !mine || decidable(call, state)),
    );
    next = page.nextCursor;
  } while (next !== null && found.length < limit);
  const decisions = await decisionsOf(
    call.deps.pool,
    found.map(({ row }) => row.id),
  );
  const data = await Promise.all(
    found.map(({ row, state }) =>
      approvalBody(
        call.deps,
        row,
        state,
        decisions.filter((one) => one.approval === row.id),
      ),
    ),
  );
  return answer(200, { data, nextCursor: next });
}

function decidable(call: Call, state: ApprovalState | null): boolean {
  return state !== null && mayDecide(state, principalOf(call)).status === 'yes';
}

async function statesOf(deps: ApiDeps, rows: readonly ApprovalRow[]): Promise<Map<string, ApprovalState>> {
  const states = new Map<string, ApprovalState>();
  for (const id of new Set(rows.map((row) => row.run))) {
    const run = await getRun(deps.pool, id);
    const approvals = run === null ? [] : (stateOf(run)?.approvals ?? []);
    for (const one of approvals) states.set(one.id, one);
  }
  return states;
}
