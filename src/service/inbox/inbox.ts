import type { z } from 'zod';
import type { ApprovalJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import { makeTurns } from '../../model/give-way.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import { decisionsOf } from '../../store/approvals/decisions.js';
import { cursorAfter, listApprovals, type ApprovalFilter } from '../../store/approvals/inbox.js';
import { toStorableTime } from '../../store/instant.js';
import { getView } from '../../store/approvals/views.js';
import { askedBytes, bodiesOf } from '../approvals/body/body.js';
import { judge, readQueueKit, type Judged, type QueueKit } from '../approvals/judge.js';
import { readApprovals, type Approval } from '../approvals/look.js';
import { findAbsentPrincipals, type KnownPerson } from '../approvals/people.js';
import { viewer, type Caller } from '../caller.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { makeFairTurns } from '../seats.js';

type Query = z.output<typeof api.approvalsQuery>;

interface ListedApproval extends Approval {
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
  const [absent, kit] = await Promise.all([mine ? findAbsentPrincipals(caller) : [], readQueueKit(deps)]);
  const judging = { kit, absent: mine ? absent : null };
  const found: ListedApproval[] = [];
  const turn = makeTurns();
  let next = cursor;
  let bytes = 0;
  let readings = 0;
  // The store filters by roles; whoever has asked or decided is no approver all the same. So a page may take several reads.
  do {
    const asking = { ...filter.value, viewer: viewer(caller), cursor: next };
    const read = await readPart(caller, judging, {
      ...asking,
      limit: Math.max(limit - found.length, mine ? leastRead : 0),
    });
    if (read === null) return badCursor();
    next = read.nextCursor;
    readings += 1;
    for (const item of read.items) {
      await turn();
      found.push(item);
      bytes += askedBytes(item.row);
      if (bytes < mostAnswerBytes && found.length < limit) continue;
      // Items after this one are dropped, and read again for the next page.
      if (item !== read.items.at(-1)) next = cursorAfter(item.row, order);
      break;
    }
  } while (next !== null && found.length < limit && bytes < mostAnswerBytes && readings < mostReadings);
  const data = await bodiesOf(deps, found, principal);
  const last = data.length < found.length ? found[data.length - 1] : undefined;
  const nextCursor = last === undefined ? next : cursorAfter(last.row, order);
  return { kind: 'page', data, nextCursor };
}

/**
 * With `mine`: how many rows are read at least to look for the caller's, and how often for a page. The next page goes on from
 * there.
 */
const leastRead = 50;
const mostReadings = 20;

/** A reading may bring as many bytes as an answer: how many lists may read at a time, in one process and of one principal. */
const mostReads = 4;
const mostOwnReads = 1;
const readTurns = makeFairTurns({ each: mostOwnReads, all: mostReads });

interface Judging {
  readonly kit: QueueKit;
  /** The absent people whose delegate the caller is; null: approvals that the caller may not decide are listed, too. */
  readonly absent: readonly KnownPerson[] | null;
}

/** A part of a page. Null: the cursor does not belong to this list. */
async function readPart(
  { deps, principal }: Pick<Caller, 'deps' | 'principal'>,
  { kit, absent }: Judging,
  filter: ApprovalFilter,
): Promise<{ readonly items: readonly ListedApproval[]; readonly nextCursor: string | null } | null> {
  const page = await readTurns(principal.id, () => listApprovals(deps.pool, filter));
  if (page === null) return null;
  const approvals = await readApprovals({ deps, principal }, page.items);
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
      decisions: decisions.filter((decision) => decision.approval === approval.row.id),
    }))
    .filter((judged) => isMine(judged, principal))
    .map((judged) => ({ row: judged.row, state: judged.state, onBehalfOf: whoMayDecide(absent, judged) }));
  return { ...page, items };
}

type Filter = Omit<ApprovalFilter, 'viewer' | 'limit' | 'cursor'>;

/** The filter of the saved view, if one is named, and of the query, which wins. */
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
    value:
      expiringBefore === undefined ? merged : { ...merged, expiringBefore: toStorableTime(expiringBefore) },
  };
}

function isMine(judged: Judged, principal: Principal): boolean {
  return judge(judged, principal).status === 'yes';
}

/** Ids of the absent who could decide the approval: the caller sees it on their behalf, but gets no right of theirs. */
function whoMayDecide(absent: readonly KnownPerson[], judged: Judged): readonly string[] {
  return absent
    .filter((person) => person.credentials.some((principal) => isMine(judged, principal)))
    .map((person) => person.id);
}
