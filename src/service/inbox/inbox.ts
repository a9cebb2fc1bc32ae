import type { z } from 'zod';
import type { ApprovalJson } from '../../model/answer-types.js';
import * as api from '../../model/api.js';
import { makeTurns } from '../../model/give-way.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import { decisionsOf } from '../../store/decisions.js';
import { cursorAfter, listApprovals, type ApprovalFilter } from '../../store/inbox.js';
import { storable } from '../../store/instant.js';
import { getView } from '../../store/views.js';
import { askedBytes, bodiesOf } from '../approvals/body.js';
import { judge, queuesNow, type Judged, type QueueKit } from '../approvals/judge.js';
import { asTheyStand, type Approval } from '../approvals/look.js';
import { standingIn, type StandIn } from '../approvals/people.js';
import { viewer, type Caller } from '../caller.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { makeFairTurns } from '../seats.js';

type Query = z.output<typeof api.approvalsQuery>;

interface Found extends Approval {
  readonly onBehalfOf: readonly string[] | null;
}

/** The approvals of runs that the caller may see. */
export async function listInbox(caller: Caller, query: Query): Promise<Page<ApprovalJson> | Refusal> {
  const refused = refuseCaller(caller, 'listApprovals');
  if (refused !== null) return refused;
  const { deps, principal } = caller;
  const { limit, cursor = null, ...asked } = query;
  const filter = await filterOf(caller, asked);
  if (filter.kind === 'refusal') return filter;
  const { mine = false, order } = filter.value;
  const [absent, kit] = await Promise.all([mine ? standingIn(caller) : [], queuesNow(deps)]);
  const judging = { kit, absent: mine ? absent : null };
  const found: Found[] = [];
  const turn = makeTurns();
  let next = cursor;
  let bytes = 0;
  let readings = 0;
  // Roles alone do not make an approver: who asked, or has decided, is left out, so a page may take several reads.
  do {
    const asking = { ...filter.value, viewer: viewer(caller), cursor: next };
    const read = await readSome(caller, judging, {
      ...asking,
      limit: Math.max(limit - found.length, mine ? leastRead : 0),
    });
    if (read === null) return badCursor();
    next = read.nextCursor;
    readings += 1;
    for (const one of read.items) {
      await turn();
      found.push(one);
      bytes += askedBytes(one.row);
      if (bytes < mostAnswerBytes && found.length < limit) continue;
      // What is behind it is let go, and read again for the next page.
      if (one !== read.items.at(-1)) next = cursorAfter(one.row, order);
      break;
    }
  } while (next !== null && found.length < limit && bytes < mostAnswerBytes && readings < mostReadings);
  const data = await bodiesOf(deps, found, principal);
  const last = data.length < found.length ? found[data.length - 1] : undefined;
  const nextCursor = last === undefined ? next : cursorAfter(last.row, order);
  return { kind: 'page', data, nextCursor };
}

/** So many are read at least, of which the caller's are looked for, and so often for one page: the next one goes on behind it. */
const leastRead = 50;
const mostReadings = 20;

/** What one reading brings may be as large as an answer: for so many lists at a time in one process, and of one principal. */
const mostReads = 4;
const mostOwnReads = 1;
const reads = makeFairTurns({ each: mostOwnReads, all: mostReads });

interface Judging {
  readonly kit: QueueKit;
  /** For whom the caller stands in; null: what is not the caller's to decide is listed too. */
  readonly absent: readonly StandIn[] | null;
}

/** A part of a page. Null: the cursor is not one of this list. */
async function readSome(
  { deps, principal }: Pick<Caller, 'deps' | 'principal'>,
  { kit, absent }: Judging,
  filter: ApprovalFilter,
): Promise<{ readonly items: readonly Found[]; readonly nextCursor: string | null } | null> {
  const page = await reads(principal.id, () => listApprovals(deps.pool, filter));
  if (page === null) return null;
  const approvals = await asTheyStand({ deps, principal }, page.items);
  if (absent === null)
    return { ...page, items: approvals.map((approval) => ({ ...approval, onBehalfOf: null })) };
  const decisions = await decisionsOf(
    deps.pool,
    page.items.map(({ id }) => id),
  );
  const items = approvals
    .map((approval) => ({
      ...approval,
      kit,
      decisions: decisions.filter((one) => one.approval === approval.row.id),
    }))
    .filter((judged) => isMine(judged, principal))
    .map((judged) => ({ row: judged.row, state: judged.state, onBehalfOf: behalf(absent, judged) }));
  return { ...page, items };
}

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
