import type { Queryable } from '../../db/index.js';
import { withoutNulOrNull } from '../text.js';
import { viewerValues, visibleRunCondition, type Viewer } from '../runs/visibility.js';

// Measures how long approvals wait and how they end. Computed from the rows each time, so that all processes give the same numbers.

export interface MeasureFilter {
  readonly from: string;
  readonly to: string;
  readonly flow?: string | undefined;
  readonly role?: string | undefined;
  readonly viewer: Viewer;
}

/** Times in seconds: how many were measured, and the median, the 90th and the 99th percentile; null: none was measured. */
export interface Times {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

interface Counts {
  readonly opened: number;
  readonly approved: number;
  readonly denied: number;
  readonly expired: number;
  readonly revoked: number;
  readonly escalated: number;
  /** Closed by a human's decision within five seconds after it opened. */
  readonly quick: number;
  /** Closed by a human within five seconds after that human had first read it. */
  readonly quickAfterView: number;
  /** Closed by a human who had not read it here. */
  readonly unread: number;
  /** Closed by a human. */
  readonly decided: number;
}

export interface Measures extends Counts {
  readonly firstView: Times;
  readonly decision: Times;
}

export interface MeasuredGroup {
  readonly flow: string | null;
  /** '' stands for the holders of `approval.decide`. */
  readonly role: string | null;
  readonly measures: Measures;
}

interface Row extends Counts {
  readonly flow: string | null;
  readonly role: string | null;
  readonly viewed: number;
  readonly viewTimes: readonly number[] | null;
  readonly settled: number;
  readonly decisionTimes: readonly number[] | null;
}

const ofRoles = `cross join lateral unnest(case when cardinality(a.roles) = 0 then array[''] else a.roles end) as held(role)`;
/** An approval of several roles counts under each role, but only once in `all` and under its flow. */
const groupings = {
  all: { flow: 'null::text', role: 'null::text', from: '', by: '' },
  flow: { flow: 'a.flow', role: 'null::text', from: '', by: 'group by a.flow' },
  role: { flow: 'null::text', role: 'held.role', from: ofRoles, by: 'group by held.role' },
  flowAndRole: { flow: 'a.flow', role: 'held.role', from: ofRoles, by: 'group by a.flow, held.role' },
} as const;
export type MeasureGroup = keyof typeof groupings;

const mostGroups = 1_000;
const seconds = (until: string, since: string): string => `extract(epoch from ${until} - ${since})::float8`;
const percentiles = (value: string, where: string): string =>
  `percentile_cont(array[0.5, 0.9, 0.99]) within group (order by ${value}) filter (where ${where})`;
const byHuman = `a.outcome in ('approved', 'denied') and m.by_id is not null`;

export async function measureApprovals(
  q: Queryable,
  filter: MeasureFilter,
  group: MeasureGroup,
): Promise<readonly MeasuredGroup[]> {
  const { flow, role, from, by } = groupings[group];
  const { rows } = await q.query<Row>(
    `select ${flow} as flow, ${role} as role, count(*) as opened,
       count(*) filter (where a.outcome = 'approved') as approved, count(*) filter (where a.outcome = 'denied') as denied,
       count(*) filter (where a.outcome = 'expired') as expired, count(*) filter (where a.outcome = 'revoked') as revoked,
       count(*) filter (where a.escalated_at is not null) as escalated,
       count(v.at) as viewed, ${percentiles(`greatest(${seconds('v.at', 'a.requested_at')}, 0)`, 'v.at is not null')} as "viewTimes",
       count(*) filter (where a.outcome in ('approved', 'denied')) as settled,
       ${percentiles(seconds('a.closed_at', 'a.requested_at'), `a.outcome in ('approved', 'denied')`)} as "decisionTimes",
       count(*) filter (where ${byHuman}) as decided,
       count(*) filter (where ${byHuman} and ${seconds('m.at', 'a.requested_at')} < 5) as quick,
       count(*) filter (where ${byHuman} and ${seconds('m.at', 's.at')} < 5) as "quickAfterView",
       count(*) filter (where ${byHuman} and s.at is null) as unread
     from approval a join run r on r.id = a.run ${from}
       left join lateral (select min(at) as at from approval_seen where approval = a.id) v on true
       left join lateral (select by_id, at from decision where approval = a.id and status = 'applied' order by at desc limit 1) m on true
       left join approval_seen s on s.approval = a.id and s.principal = m.by_id
     where a.requested_at >= $1 and a.requested_at < $2 and ${visibleRunCondition(3)}
       and ($7::text is null or a.flow = $7) and ($8::text is null or $8 = any(a.roles))
     ${by} order by 1, 2 limit ${mostGroups}`,
    [
      filter.from,
      filter.to,
      ...viewerValues(filter.viewer),
      withoutNulOrNull(filter.flow),
      withoutNulOrNull(filter.role),
    ],
  );
  return rows.map(({ flow: ofFlow, role: ofRole, viewed, viewTimes, settled, decisionTimes, ...counts }) => ({
    flow: ofFlow,
    role: ofRole,
    measures: {
      ...counts,
      firstView: toTimes(viewed, viewTimes),
      decision: toTimes(settled, decisionTimes),
    },
  }));
}

function toTimes(count: number, found: readonly number[] | null): Times {
  const [p50 = null, p90 = null, p99 = null] = (found ?? []).map(
    (value) => Math.round(value * 1_000) / 1_000,
  );
  return { count, p50, p90, p99 };
}

/** Age groups with their upper ends in seconds; all older approvals are in `older`. */
const ages = [
  ['under_1h', 3_600],
  ['under_4h', 14_400],
  ['under_1d', 86_400],
  ['under_3d', 259_200],
  ['under_7d', 604_800],
] as const;
export const ageNames = [...ages.map(([name]) => name), 'older'];

export interface OpenByAge {
  readonly environment: string;
  readonly age: string;
  readonly count: number;
}

export async function countOpenByAge(
  q: Queryable,
  filter: Pick<MeasureFilter, 'flow' | 'role' | 'viewer'>,
): Promise<readonly OpenByAge[]> {
  const { rows } = await q.query<{ environment: string; bucket: number; count: number }>(
    `select a.environment, width_bucket(${seconds('now()', 'a.requested_at')}, array[${ages.map(([, end]) => end).join(', ')}]::float8[]) as bucket,
       count(*) as count
     from approval a join run r on r.id = a.run
     where a.closed_at is null and ${visibleRunCondition(1)} and ($5::text is null or a.flow = $5) and ($6::text is null or $6 = any(a.roles))
     group by 1, 2 order by 1, 2`,
    [...viewerValues(filter.viewer), withoutNulOrNull(filter.flow), withoutNulOrNull(filter.role)],
  );
  return rows.map(({ environment, bucket, count }) => ({
    environment,
    age: ageNames[bucket] ?? 'older',
    count,
  }));
}
