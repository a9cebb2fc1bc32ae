import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { countApprovals } from '../../store/approvals/approvals.js';
import { countInternalErrors } from '../../store/processes/internal-errors.js';
import { countUndeliveredMessages } from '../../store/runs/messages.js';
import { countRuns } from '../../store/runs/runs.js';
import { countStoreWaits } from '../../store/processes/store-waits.js';
import type { Pool } from '../../db/index.js';
import { makeApprovalMetrics } from './approvals.js';
import type { Route } from '../http/call.js';
import { makeNotificationMetrics } from './notifications.js';

export interface Metrics {
  observe(route: Route, method: string, status: number, milliseconds: number): void;
  /** Counts an attempt to tell somebody of an approval. */
  notified(channel: string, outcome: string): void;
  readonly media: string;
  /** Prometheus text. While the store does not answer, what it counts is left out. */
  text(): Promise<string>;
}

const buckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts of this process since it started. */
export interface Counts {
  readonly internalErrors: () => number;
  readonly lostWorkflows: () => number;
}

const noCounts: Counts = { internalErrors: () => 0, lostWorkflows: () => 0 };

export function makeMetrics(pool: Pool, now: () => Date, counts: Counts = noCounts): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: 'countersign_http_requests_total',
    help: 'Requests by route, method and status',
    labelNames: ['route', 'method', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'countersign_http_request_seconds',
    help: 'Time from request to answer',
    labelNames: ['route', 'method'],
    buckets,
    registers,
  });
  new Counter({
    name: 'countersign_internal_errors_total',
    help: 'Failures in our own code that no request was told of; of the workers, all since the store was made',
    labelNames: ['process'],
    registers,
    collect() {
      this.reset();
      this.inc({ process: 'api' }, counts.internalErrors());
      for (const { process, count } of elsewhere) this.inc({ process }, count);
    },
  });
  new Counter({
    name: 'countersign_workflows_lost_total',
    help: 'Open runs of which Temporal had no open workflow any more, for which this process has started a new workflow',
    registers,
    collect() {
      this.reset();
      this.inc(counts.lostWorkflows());
    },
  });
  let elsewhere: Awaited<ReturnType<typeof countInternalErrors>> = [];
  const fillErrors = async (): Promise<void> => {
    elsewhere = [];
    elsewhere = await countInternalErrors(pool);
  };
  const fillWaits = makeStoreWaitMetrics(pool, registry);
  const fillStored = makeStoredMetrics(pool, registry);
  const waiting = makeApprovalMetrics(pool, now, registry);
  const notifications = makeNotificationMetrics(pool, registry);
  return {
    media: registry.contentType,
    observe: (route, method, status, milliseconds) => {
      requests.inc({ route: route.path, method: knownMethods.includes(method) ? method : 'other', status });
      seconds.observe({ route: route.path, method: route.method }, milliseconds / 1_000);
    },
    notified: notifications.count,
    text: async () => {
      await fillStored([waiting.fill, notifications.fill, fillErrors, fillWaits]);
      return registry.metrics();
    },
  };
}

/** Times in which workers could not reach the store. Those of the API show in `countersign_store_up`. */
function makeStoreWaitMetrics(pool: Pool, registry: Registry): () => Promise<void> {
  let waits: Awaited<ReturnType<typeof countStoreWaits>> = [];
  const make = (name: string, help: string, of: 'count' | 'seconds'): void => {
    new Counter({
      name,
      help,
      labelNames: ['process'],
      registers: [registry],
      collect() {
        this.reset();
        for (const row of waits) this.inc({ process: row.process }, row[of]);
      },
    });
  };
  const since = 'since the store was made; told once it answers again';
  make('countersign_store_waits_total', `How often a worker could not reach the store, ${since}`, 'count');
  make('countersign_store_wait_seconds_total', `For how long, ${since}`, 'seconds');
  return async () => {
    waits = [];
    waits = await countStoreWaits(pool);
  };
}

/** What is counted in the store at each scrape. */
function makeStoredMetrics(
  pool: Pool,
  registry: Registry,
): (others: readonly (() => Promise<unknown>)[]) => Promise<void> {
  const registers = [registry];
  const labelNames = ['environment', 'status'];
  const runs = new Gauge({ name: 'countersign_runs', help: 'Runs by status', labelNames, registers });
  const approvals = new Gauge({
    name: 'countersign_approvals',
    help: 'Approvals by status',
    labelNames,
    registers,
  });
  const undelivered = new Gauge({
    name: 'countersign_messages_undelivered',
    help: 'Messages that their run has not taken though they were rung for again',
    labelNames: ['environment'],
    registers,
  });
  const storeUp = new Gauge({
    name: 'countersign_store_up',
    help: '1: the store answered this scrape; 0: it did not, and what is asked of it is missing here, not zero',
    registers,
  });
  return async (others) => {
    const asked = await Promise.allSettled([
      countRuns(pool).then((rows) => fill(runs, rows)),
      countApprovals(pool).then((rows) => fill(approvals, rows)),
      countUndeliveredMessages(pool).then((rows) => {
        undelivered.reset();
        for (const { environment, count } of rows) undelivered.set({ environment }, count);
      }),
      ...others.map((other) => other()),
    ]);
    const up = asked.every(({ status }) => status === 'fulfilled');
    storeUp.set(up ? 1 : 0);
    if (up) return;
    for (const gauge of [runs, approvals, undelivered]) gauge.reset();
  };
}

function fill(
  gauge: Gauge,
  rows: readonly { readonly environment: string; readonly status: string; readonly count: number }[],
): void {
  gauge.reset();
  for (const { environment, status, count } of rows) gauge.set({ environment, status }, count);
}

/** A closed list, so that no caller can make new series. */
const knownMethods = ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT', 'PATCH'];
