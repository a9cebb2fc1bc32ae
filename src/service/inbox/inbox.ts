import type { z } from 'zod';
import type { ApprovalJson } from '../../model/answer-types.js';
import * as api from '../../model/api.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import type { ApprovalRow } from '../../store/approvals.js';
import { decisionsOf } from '../../store/decisions.js';
import { cursorAfter, listApprovals, type ApprovalFilter } from '../../store/inbox.js';
import { storable } from '../../store/instant.js';
import { getRun, type RunRow } from '../../store/runs.js';
import { getView } from '../../store/views.js';
import { askedBytes, bodiesOf } from '../approvals/body.js';
import { judge, queuesNow, type Judged } from '../approvals/judge.js';
import { asItStands, type Approval } from '../approvals/look.js';
import { standingIn, type StandIn } from '../approvals/people.js';
import { viewer, type Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { badCursor, type Page } from '../page.js';
import { notFound, type Refusal } from '../refusal.js';

type Query = z.output<typeof api.approvalsQuery>;

interface Found extends Approval {
  readonly onBehalfOf: readonly string[] | null;
}

/** The approvals of runs that the caller may see. */
export async function listInbox(caller: Caller, query: Query): Promise<Page<ApprovalJson> | Refusal> {
  const { deps, principal } = caller;
  const { limit, cursor = null, ...asked } = query;
  const filter = await filterOf(caller, asked);
  if (filter.kind === 'refusal') return filter;
  const { mine = false } = filter.value;
  const [absent, kit] = await Promise.all([mine ? standingIn(caller) : [], queuesNow(deps)]);
  const found: Found[] = [];
  let next = cursor;
  let bytes = 0;
  // Roles alone do not make an approver: who asked, or has decided, is left out, so a page may take several reads.
  do {
    const page = await listApprovals(deps.pool, {
      ...filter.value,
      viewer: viewer(caller),
      limit: Math.min(limit - found.length, rowsAtOnce),
      cursor: next,
    });
    if (page === null) return badCursor();
    const items = await standing(deps, page.items);
    const decisions = mine
      ? await decisionsOf(
          deps.pool,
          page.items.map(({ id }) => id),
        )
      : [];
    for (const { row, state } of items) {
      const judged = { row, state, kit, decisions: decisions.filter(({ approval }) => approval === row.id) };
      if (!mine || isMine(judged, principal))
        found.push({ row, state, onBehalfOf: mine ? behalf(absent, judged) : null });
    }
    next = page.nextCursor;
    bytes = found.reduce((sum, { row }) => sum + askedBytes(row), 0);
  } while (next !== null && found.length < limit && bytes < mostAnswerBytes);
  const data = await bodiesOf(deps, found, principal);
  const last = data.length < found.length ? found[data.length - 1] : undefined;
  const nextCursor = last === undefined ? next : cursorAfter(last.row, filter.value.order);
  return { kind: 'page', data, nextCursor };
}

/** Their documents may be large, and a page may end before all of them. */
const rowsAtOnce = 100;

type Filter = Omit<ApprovalFilter, 'viewer' | 'limit' | 'cursor'>;

/** A view, and what is asked beside it: what is asked wins. */
async function filterOf(
  { deps, principal }: Caller,
  { view, ...asked }: Omit<Query, 'limit' | 'cursor'>,
): Promise<{ readonly kind: 'filter'; readonly value: Filter } | Refusal> {
  const row = view === undefined ? null : await getView(deps.pool, principal.id, view);
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

function isMine(judged: Judged, principal: Principal): boolean {
  return judge(judged, principal).status === 'yes';
}

/** Those of the absent who could decide it: the caller sees it for them, with no right but its own. */
function behalf(absent: readonly StandIn[], judged: Judged): readonly string[] {
  return absent
    .filter((one) => one.credentials.some((principal) => isMine(judged, principal)))
    .map((one) => one.id);
}

async function standing(deps: ServiceDeps, rows: readonly ApprovalRow[]): Promise<Approval[]> {
  const runs = new Map<string, RunRow | null>();
  for (const id of new Set(rows.map((row) => row.run))) runs.set(id, await getRun(deps.pool, id));
  const items: Approval[] = [];
  for (const row of rows) {
    const run = runs.get(row.run) ?? null;
    items.push(run === null ? { row, state: null } : await asItStands(deps, row, run));
  }
  return items;
}
