import { Gauge, type Registry } from 'prom-client';
import type { Pool } from '../../db/index.js';
import {
  measureApprovals,
  countOpenByAge,
  type MeasuredGroup,
  type Measures,
  type OpenByAge,
  type Times,
} from '../../store/approvals/measures.js';

/** A viewer who sees the approvals of all runs: metrics hold only counts. */
const seesAll = { id: '', roles: [], all: true, decides: false } as const;
const windowMs = 86_400_000;

export interface ApprovalMetrics {
  /** Fills the gauges from the store. If it does not answer, empties them and throws. */
  fill(): Promise<void>;
}

/**
 * Gauges over the approvals of the last 24 hours, counted in the store at each scrape. Every API process gives the same numbers:
 * take the maximum over the processes, not the sum.
 */
export function makeApprovalMetrics(pool: Pool, now: () => Date, registry: Registry): ApprovalMetrics {
  const registers = [registry];
  const of = ['flow', 'role'] as const;
  const gauge = (name: string, help: string, labelNames: readonly string[]): Gauge =>
    new Gauge({ name: `countersign_${name}`, help, labelNames: [...labelNames], registers });
  const gauges = {
    open: gauge('approvals_open', 'Open approvals by age', ['environment', 'age']),
    outcomes: gauge(
      'approvals_day',
      'Approvals opened in the last 24 hours: opened, approved, denied, expired, revoked, escalated, and those that a human closed within five seconds; an approval of several roles counts under each',
      [...of, 'measure'],
    ),
    view: gauge('approval_first_view_seconds', 'From opening to the first view by somebody who may decide', [
      ...of,
      'quantile',
    ]),
    decision: gauge('approval_decision_seconds', 'From opening to the decision', [...of, 'quantile']),
  };
  const reset = (): void => Object.values(gauges).forEach((gauge) => gauge.reset());
  return {
    fill: async () => {
      const to = now();
      const filter = {
        from: new Date(to.getTime() - windowMs).toISOString(),
        to: new Date(to.getTime() + 1_000).toISOString(),
        viewer: seesAll,
      };
      const asked = Promise.all([
        countOpenByAge(pool, filter),
        measureApprovals(pool, filter, 'flowAndRole'),
      ]);
      const found = await asked.finally(reset);
      setGauges(gauges, ...found);
    },
  };
}

type Gauges = Readonly<Record<'open' | 'outcomes' | 'view' | 'decision', Gauge>>;

function setGauges(gauges: Gauges, open: readonly OpenByAge[], groups: readonly MeasuredGroup[]): void {
  for (const { environment, age, count } of open) gauges.open.set({ environment, age }, count);
  for (const { flow, role, measures } of groups) {
    const labels = { flow: flow ?? '', role: role ?? '' };
    for (const [measure, count] of counts(measures)) gauges.outcomes.set({ ...labels, measure }, count);
    for (const [quantile, value] of quantiles(measures.firstView))
      gauges.view.set({ ...labels, quantile }, value);
    for (const [quantile, value] of quantiles(measures.decision))
      gauges.decision.set({ ...labels, quantile }, value);
  }
}

function counts({
  opened,
  approved,
  denied,
  expired,
  revoked,
  escalated,
  quick,
}: Measures): [string, number][] {
  return Object.entries({ opened, approved, denied, expired, revoked, escalated, under_five_seconds: quick });
}

function quantiles({ p50, p90, p99 }: Times): [string, number][] {
  const all: [string, number | null][] = [
    ['0.5', p50],
    ['0.9', p90],
    ['0.99', p99],
  ];
  return all.filter((entry): entry is [string, number] => entry[1] !== null);
}
