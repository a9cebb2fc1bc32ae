import { z } from 'zod';
import * as api from '../../model/api.js';
import * as inbox from '../../model/api-inbox-answers.js';
import type { JsonObject } from '../../model/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import type { ApprovalState, Kit } from '../../engine/state.js';
import type { ApprovalRow } from '../../store/approvals.js';
import { decisionsOf, type DecisionRow } from '../../store/decisions.js';
import { cursorAfter, listApprovals, type ApprovalFilter } from '../../store/inbox.js';
import { storable } from '../../store/instant.js';
import { getRun, type RunRow } from '../../store/runs.js';
import { deleteView, getView, listViews, mostViews, putView, type ViewRow } from '../../store/views.js';
import { askedBytes, asItStands, bodiesOf } from '../approvals/body.js';
import { queuesNow } from '../approvals/gates.js';
import {
  answer,
  jsonBody,
  principalOf,
  route,
  viewer,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import type { ApiDeps } from '../deps.js';
import { mayDecideNow } from '../approvals/may-decide.js';
import { standingIn, type StandIn } from '../approvals/people.js';
import { badCursor, invalid, notFound, type Problem } from '../contract/problem.js';

const viewParams = z.object({ name: api.shortText });
const oneView = {
  tag: 'Approvals',
  path: '/v1/approvals/views/{name}',
  params: viewParams,
  query: api.noQuery,
};

/** Saved inboxes are each person's own. */
export const viewRoutes: readonly Route[] = [
  route({
    id: 'listViews',
    method: 'GET',
    path: '/v1/approvals/views',
    tag: 'Approvals',
    summary: "The caller's saved inboxes",
    params: z.object({}),
    query: api.noQuery,
    answers: { 200: { description: 'by name', schema: inbox.savedViews } },
    handle: async (call) => {
      const rows = await listViews(call.deps.pool, principalOf(call).id);
      return answer(200, { data: rows.map(viewObject) });
    },
  }),
  route({
    ...oneView,
    id: 'getView',
    method: 'GET',
    summary: 'One saved inbox; `GET /v1/approvals?view=` uses it',
    answers: { 200: { description: 'the view', schema: inbox.savedView } },
    handle: (call, { params }) => readView(call, params.name),
  }),
  route({
    ...oneView,
    id: 'saveView',
    method: 'PUT',
    summary: 'Save filters and order under a name',
    body: jsonBody(api.viewBody),
    answers: { 200: { description: 'the view', schema: inbox.savedView } },
    handle: (call, { params, body }) => saveView(call, params.name, body),
  }),
  route({
    ...oneView,
    id: 'deleteView',
    method: 'DELETE',
    summary: 'Forget a saved inbox',
    answers: { 204: { description: 'forgotten' } },
    handle: async (call, { params }) =>
      (await deleteView(call.deps.pool, principalOf(call).id, params.name))
        ? answer(204)
        : notFound('view', params.name),
  }),
];

async function readView(call: Call, name: string): Promise<Reply> {
  const row = await getView(call.deps.pool, principalOf(call).id, name);
  return row === null ? notFound('view', name) : answer(200, viewObject(row));
}

async function saveView(call: Call, name: string, query: z.output<typeof api.viewBody>): Promise<Reply> {
  const saved = await putView(call.deps.pool, {
    principal: principalOf(call).id,
    name,
    query: query as JsonObject,
  });
  if (saved) return readView(call, name);
  return invalid(`there are ${mostViews} saved views already: delete one first`, [
    { pointer: '/params/name', message: `would be one more than ${mostViews}` },
  ]);
}

function viewObject({ name, query, updatedAt }: ViewRow): JsonObject {
  return { name, query, href: `/v1/approvals?view=${encodeURIComponent(name)}`, updatedAt };
}

interface Found {
  readonly row: ApprovalRow;
  readonly state: ApprovalState | null;
  readonly onBehalfOf: readonly string[] | null;
}

export async function listInbox(call: Call, query: z.output<typeof api.approvalsQuery>): Promise<Reply> {
  const { limit, cursor = null, ...asked } = query;
  const filter = await filterOf(call, asked);
  if (filter.kind === 'problem') return filter;
  const { mine = false } = filter.value;
  const [absent, kit] = await Promise.all([mine ? standingIn(call) : [], queuesNow(call.deps)]);
  const found: Found[] = [];
  let next = cursor;
  let bytes = 0;
  // Roles alone do not make an approver: who asked, or has decided, is left out, so a page may take several reads.
  do {
    const page = await listApprovals(call.deps.pool, {
      ...filter.value,
      viewer: viewer(call),
      limit: Math.min(limit - found.length, rowsAtOnce),
      cursor: next,
    });
    if (page === null) return badCursor();
    const items = await standing(call.deps, page.items);
    const decisions = mine ? await decisionsOf(call.deps.pool, page.items.map(idOf)) : [];
    for (const { row, state } of items) {
      const asked = { state, kit, decisions: decisions.filter(({ approval }) => approval === row.id) };
      if (!mine || decidable(principalOf(call), asked))
        found.push({ row, state, onBehalfOf: mine ? behalf(absent, asked) : null });
    }
    next = page.nextCursor;
    bytes = found.reduce((sum, { row }) => sum + askedBytes(row), 0);
  } while (next !== null && found.length < limit && bytes < mostAnswerBytes);
  const data = await bodiesOf(call.deps, found, call.principal);
  const last = data.length < found.length ? found[data.length - 1] : undefined;
  const nextCursor = last === undefined ? next : cursorAfter(last.row, filter.value.order);
  return answer(200, { data, nextCursor });
}

/** Their documents may be large, and a page may end before all of them. */
const rowsAtOnce = 100;

type QueueKit = Pick<Kit, 'queueRoles'>;
type Filter = Omit<ApprovalFilter, 'viewer' | 'limit' | 'cursor'>;

/** A view, and what is asked beside it: what is asked wins. */
async function filterOf(
  call: Call,
  { view, ...asked }: Omit<z.output<typeof api.approvalsQuery>, 'limit' | 'cursor'>,
): Promise<{ readonly kind: 'filter'; readonly value: Filter } | Problem> {
  const row = view === undefined ? null : await getView(call.deps.pool, principalOf(call).id, view);
  if (view !== undefined && row === null) return notFound('view', view);
  const saved = row === null ? {} : api.viewBody.parse(row.query);
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  const merged: Filter = { ...saved, ...given };
  const { expiringBefore } = merged;
  return {
    kind: 'filter',
    value: expiringBefore === undefined ? merged : { ...merged, expiringBefore: storable(expiringBefore) },
  };
}

interface Asked {
  readonly state: ApprovalState | null;
  readonly kit: QueueKit;
  readonly decisions: readonly DecisionRow[];
}

function decidable(principal: Principal, { state, kit, decisions }: Asked): boolean {
  return state !== null && mayDecideNow(state, principal, kit, decisions).status === 'yes';
}

/** Those of the absent who could decide it: the caller sees it for them, with no right but its own. */
function behalf(absent: readonly StandIn[], asked: Asked): readonly string[] {
  return absent
    .filter((one) => one.credentials.some((principal) => decidable(principal, asked)))
    .map((one) => one.id);
}

function idOf({ id }: ApprovalRow): string {
  return id;
}

async function standing(
  deps: ApiDeps,
  rows: readonly ApprovalRow[],
): Promise<Pick<Found, 'row' | 'state'>[]> {
  const runs = new Map<string, RunRow | null>();
  for (const id of new Set(rows.map((row) => row.run))) runs.set(id, await getRun(deps.pool, id));
  const items: Pick<Found, 'row' | 'state'>[] = [];
  for (const row of rows) {
    const run = runs.get(row.run) ?? null;
    items.push(run === null ? { row, state: null } : await asItStands(deps.pool, row, run));
  }
  return items;
}
