import { Gauge, type Registry } from 'prom-client';
import type { Pool } from '../../db/index.js';
import {
  measureApprovals,
  openByAge,
  type MeasuredGroup,
  type Measures,
  type OpenByAge,
  type Times,
} from '../../store/measures.js';

/** Everything: a scrape sees what no person asks to see. */
const everything = { id: '', roles: [], all: true, decides: false } as const;
const windowMs = 86_400_000;

export interface ApprovalMetrics {
  /** Asks the store, and puts in the gauges what it says. Empties them and throws where it does not answer. */
  fill(): Promise<void>;
}

/**
 * From the rows at each scrape, over the approvals of the last 24 hours: every API process tells the same
 * numbers, so take the maximum over them and not the sum.
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
      'Approvals opened in the last 24 hours: opened, approved, denied, expired, revoked, escalated, and those that a human closed within five seconds; one of several roles counts under each',
      [...of, 'measure'],
    ),
    view: gauge('approval_first_view_seconds', 'From opening to the first view by somebody who may decide', [
      ...of,
      'quantile',
    ]),
    decision: gauge('approval_decision_seconds', 'From opening to the decision', [...of, 'quantile']),
  };
  const reset = (): void => Object.values(gauges).forEach((one) => one.reset());
  return {
    fill: async () => {
      const to = now();
      const filter = {
        from: new Date(to.getTime() - windowMs).toISOString(),
        to: new Date(to.getTime() + 1_000).toISOString(),
        viewer: everything,
      };
      const asked = Promise.all([openByAge(pool, filter), measureApprovals(pool, filter, 'flowAndRole')]);
      const found = await asked.finally(reset);
      set(gauges, ...found);
    },
  };
}

type Gauges = Readonly<Record<'open' | 'outcomes' | 'view' | 'decision', Gauge>>;

function set(gauges: Gauges, open: readonly OpenByAge[], groups: readonly MeasuredGroup[]): void {
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
  return all.filter((one): one is [string, number] => one[1] !== null);
}
