import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import * as inbox from '../../model/contract/api-inbox-answers.js';
import { readStats } from '../../service/inbox/stats.js';
import { answer, callerOf, route, type Route } from '../http/call.js';

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
    handle: async (call, { query }) => {
      const stats = await readStats(callerOf(call), query);
      return stats.kind === 'refusal' ? stats : answer(200, stats.body);
    },
  }),
];
