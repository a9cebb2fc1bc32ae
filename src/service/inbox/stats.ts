import type { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import type { ApprovalStatsJson } from '../../model/contract/answer-types.js';
import { ageNames, measureApprovals, countOpenByAge, type Measures } from '../../store/approvals/measures.js';
import { toStorableTime } from '../../store/instant.js';
import { viewer, type Caller } from '../caller.js';
import { refuseCaller } from '../may.js';
import { invalid, type Refusal } from '../refusal.js';

// How long approvals wait and how they end.

const defaultSpanMs = 30 * 86_400_000;

export async function readStats(
  caller: Caller,
  query: z.output<typeof api.statsQuery>,
): Promise<{ readonly kind: 'stats'; readonly body: ApprovalStatsJson } | Refusal> {
  const refused = refuseCaller(caller, 'approvalStats');
  if (refused !== null) return refused;
  const { pool, now } = caller.deps;
  const to = query.to === undefined ? now().toISOString() : toStorableTime(query.to);
  const from =
    query.from === undefined
      ? new Date(Math.max(Date.parse(to) - defaultSpanMs, 0)).toISOString()
      : toStorableTime(query.from);
  if (from >= to)
    return invalid('the time ends before it begins', [
      { pointer: '/query/to', message: 'must be later than `from`' },
    ]);
  const filter = { from, to, flow: query.flow, role: query.role, viewer: viewer(caller) };
  const [all, byFlow, byRole, open] = await Promise.all([
    measureApprovals(pool, filter, 'all'),
    measureApprovals(pool, filter, 'flow'),
    measureApprovals(pool, filter, 'role'),
    countOpenByAge(pool, filter),
  ]);
  const [total] = all;
  if (total === undefined) throw new Error('an aggregate without groups has one row');
  const body = {
    from,
    to,
    total: measuresOf(total.measures),
    byFlow: byFlow.map(({ flow, measures }) => ({ flow: flow ?? '', ...measuresOf(measures) })),
    byRole: byRole.map(({ role, measures }) => ({
      role: role === '' ? null : role,
      ...measuresOf(measures),
    })),
    open: ageNames.map((age) => ({
      age,
      count: open.filter((group) => group.age === age).reduce((sum, group) => sum + group.count, 0),
    })),
  };
  return { kind: 'stats', body };
}

function measuresOf({
  firstView,
  decision,
  quick,
  quickAfterView,
  unread,
  decided,
  ...counts
}: Measures): ApprovalStatsJson['total'] {
  const ended = counts.approved + counts.denied + counts.expired;
  return {
    ...counts,
    breachRate: share(counts.expired, ended),
    escalationRate: share(counts.escalated, counts.opened),
    firstViewSeconds: { ...firstView },
    decisionSeconds: { ...decision },
    decidedByHumans: decided,
    underFiveSeconds: share(quick, decided),
    underFiveSecondsOfView: share(quickAfterView, decided),
    decidedUnread: share(unread, decided),
  };
}

/** Rounded to four digits; null: the whole is 0. */
function share(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000;
}
