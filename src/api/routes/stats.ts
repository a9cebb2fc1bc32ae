import { z } from 'zod';
import * as api from '../../model/api.js';
import * as inbox from '../../model/api-inbox-answers.js';
import type { JsonObject } from '../../model/json.js';
import { ageNames, measureApprovals, openByAge, type Measures } from '../../store/measures.js';
import { storable } from '../../store/instant.js';
import { answer, route, viewer, type Call, type Reply, type Route } from '../http/call.js';
import { invalid } from '../contract/problem.js';

export const statsRoutes: readonly Route[] = [
  route({
    id: 'approvalStats',
    method: 'GET',
    path: '/v1/approvals/stats',
    tag: 'Approvals',
    summary:
      'How long approvals wait and how they end, of those opened from `from` (30 days ago unless said) to `to`, over the runs that the caller may see',
    params: z.object({}),
    query: api.statsQuery,
    answers: { 200: { description: 'in all, by flow and by role', schema: inbox.approvalStats } },
    handle: (call, { query }) => stats(call, query),
  }),
];

const usualMs = 30 * 86_400_000;

async function stats(call: Call, query: z.output<typeof api.statsQuery>): Promise<Reply> {
  const now = call.deps.now();
  const to = query.to === undefined ? now.toISOString() : storable(query.to);
  const from =
    query.from === undefined
      ? new Date(Math.max(Date.parse(to) - usualMs, 0)).toISOString()
      : storable(query.from);
  if (from >= to)
    return invalid('the time ends before it begins', [
      { pointer: '/query/to', message: 'must be later than `from`' },
    ]);
  const filter = { from, to, flow: query.flow, role: query.role, viewer: viewer(call) };
  const { pool } = call.deps;
  const [all, byFlow, byRole, open] = await Promise.all([
    measureApprovals(pool, filter, 'all'),
    measureApprovals(pool, filter, 'flow'),
    measureApprovals(pool, filter, 'role'),
    openByAge(pool, filter),
  ]);
  const [total] = all;
  if (total === undefined) throw new Error('an aggregate without groups has one row');
  return answer(200, {
    from,
    to,
    total: shown(total.measures),
    byFlow: byFlow.map(({ flow, measures }) => ({ flow: flow ?? '', ...shown(measures) })),
    byRole: byRole.map(({ role, measures }) => ({ role: role === '' ? null : role, ...shown(measures) })),
    open: ageNames.map((age) => ({
      age,
      count: open.filter((one) => one.age === age).reduce((sum, one) => sum + one.count, 0),
    })),
  });
}

function shown({
  firstView,
  decision,
  quick,
  quickAfterView,
  unread,
  decided,
  ...counts
}: Measures): JsonObject {
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

/** Null: of nothing there is no share. */
function share(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000;
}
