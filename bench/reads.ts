import assert from 'node:assert/strict';
import { approvalsQuery, auditQuery, runsQuery } from '../src/model/contract/api.js';
import type { Caller } from '../src/service/caller.js';
import { listRecords, recordsOfRun } from '../src/service/audit/records.js';
import { reconstructRun } from '../src/service/audit/history.js';
import { listInbox } from '../src/service/inbox/inbox.js';
import { listRuns } from '../src/service/runs/read.js';
import { copies } from '../testing/many-rows.js';
import { noteStatements } from '../testing/servers/statements.js';
import { describeMachine } from './machine.js';
import { rounded, spread, type Spread } from './measure.js';
import { readOptions, wholeNumber } from './options.js';
import { openStore, type ManyRows } from './reads/store.js';
import { measureStreams } from './reads/streams.js';

// `npm run bench:reads [-- --runs 1000000 --approvals 100000 --records 10000000 --streams 500 --times 200]` measures what a
// console reads from a full store, through the service's own functions. The rows are copies of one run, in a Postgres of the
// benchmark's own. Prints JSON on stdout, and progress on stderr.

const values = readOptions({
  options: {
    runs: { type: 'string', default: '1000000' },
    approvals: { type: 'string', default: '100000' },
    closed: { type: 'string', default: '100000' },
    records: { type: 'string', default: '10000000' },
    streams: { type: 'string', default: '500' },
    times: { type: 'string', default: '200' },
    told: { type: 'string', default: '50' },
    // Measures only the reads whose names contain this text.
    only: { type: 'string', default: '' },
  },
});
const sizes = {
  runs: wholeNumber('runs', values.runs),
  approvals: wholeNumber('approvals', values.approvals),
  closedApprovals: wholeNumber('closed', values.closed),
  records: wholeNumber('records', values.records),
};
const streams = wholeNumber('streams', values.streams, 20);
const times = wholeNumber('times', values.times);
const told = wholeNumber('told', values.told);
const aimMs = 50;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Measured extends Spread {
  /** Processor time of the service's process for a read, in milliseconds; that of the store is not counted. */
  readonly processorMs: number;
  /** How many statements the last read has sent through the pool. */
  readonly statements: number;
  readonly rows: number;
}

type Pages = {
  readonly kind: string;
  readonly data?: readonly unknown[];
  readonly nextCursor?: string | null;
};
type Read = (caller: Caller, nth: number) => Promise<Pages>;

/** Makes the reads one after the other, as a single person would; the first five are not counted. */
async function measure(
  store: ManyRows,
  name: string,
  asker: Caller,
  read: Read,
): Promise<[string, Measured]> {
  const { pool, statements } = noteStatements(store.ground.database.pool);
  const caller: Caller = { ...asker, deps: { ...asker.deps, pool } };
  const ms: number[] = [];
  let rows = 0;
  let asked = 0;
  let cpu = process.cpuUsage();
  for (let n = -5; n < times; n += 1) {
    statements.length = 0;
    if (n === 0) cpu = process.cpuUsage();
    const started = performance.now();
    const page = await read(caller, n + 5);
    if (n >= 0) ms.push(performance.now() - started);
    assert.notEqual(page.kind, 'refusal', `${name}: ${JSON.stringify(page)}`);
    rows = page.data?.length ?? 1;
    asked = statements.length;
  }
  const { user, system } = process.cpuUsage(cpu);
  const processorMs = rounded((user + system) / 1_000 / times);
  const measured = { ...spread(ms), processorMs, statements: asked, rows };
  say(`${name}: ${JSON.stringify(measured)}`);
  return [name, measured];
}

/** Reads page after page, and begins again after the last page. */
function readPages(read: (caller: Caller, cursor: string | undefined) => Promise<Pages>): Read {
  let cursor: string | undefined;
  return async (caller) => {
    const page = await read(caller, cursor);
    cursor = page.nextCursor ?? undefined;
    return page;
  };
}

const inbox = (filter: object): Read =>
  readPages((caller, cursor) => listInbox(caller, approvalsQuery.parse({ ...filter, cursor })));
const runs = (filter: object): Read =>
  readPages((caller, cursor) => listRuns(caller, runsQuery.parse({ ...filter, cursor })));
const log = (filter: object): Read =>
  readPages((caller, cursor) => listRecords(caller, auditQuery.parse({ ...filter, cursor })));

/** The id of a run that has records. */
const runOf = (n: number): string =>
  copies.run(sizes.runs - ((n * 7919) % Math.max(1, Math.floor(sizes.records / 20))));

async function measureReads(store: ManyRows): Promise<Record<string, Measured>> {
  const auditor = store.caller({ id: 'auditor', permissions: ['run.read', 'audit.read'] });
  const finance = store.caller({ id: 'finance', roles: ['finance.controller'] });
  const rare = store.caller({ id: 'rare', roles: ['role_4'] });
  const agent = store.caller({ id: 'person_10', kind: 'agent' });
  const cases: readonly (readonly [string, Caller, Read])[] = [
    ['inbox of an approver', finance, inbox({ mine: 'true' })],
    ['inbox of an approver of one in a hundred', rare, inbox({ mine: 'true' })],
    ['open approvals by risk', auditor, inbox({ status: 'open' })],
    ['open approvals by age', auditor, inbox({ status: 'open', order: 'age' })],
    ['run list', auditor, runs({})],
    ['run list of a flow', auditor, runs({ flow: 'flow_8' })],
    ['run list of a status', auditor, runs({ status: 'stuck' })],
    ['run list of a state', auditor, runs({ state: 'state_7' })],
    ['run list of an environment', auditor, runs({ environment: 'staging' })],
    ['run list of who started them', auditor, runs({ startedBy: 'person_20' })],
    ['run list as an approver sees it', finance, runs({})],
    ['run list as an agent sees it', agent, runs({})],
    ['a trace', auditor, (caller, n) => recordsOfRun(caller, runOf(n), auditQuery.parse({}))],
    ['a run rebuilt from its trace', auditor, (caller, n) => reconstructRun(caller, runOf(n))],
    ['records', auditor, log({})],
    ['records of a flow', auditor, log({ flow: 'flow_8' })],
    ['records of an actor', auditor, log({ actor: 'person_20' })],
  ];
  const results: Record<string, Measured> = {};
  for (const [name, caller, read] of cases.filter(([each]) => each.includes(values.only))) {
    const [key, measured] = await measure(store, name, caller, read);
    results[key] = measured;
  }
  return results;
}

async function main(): Promise<void> {
  const started = performance.now();
  const store = await openStore(sizes, say);
  try {
    const filledSeconds = Math.round((performance.now() - started) / 1_000);
    const reads = await measureReads(store);
    const { ms, statements } = await measureStreams(store, streams, told);
    const streamed = { ...spread(ms), statements, streams };
    const slow = Object.entries(reads).filter(([, { p99 }]) => p99 > aimMs);
    const report = {
      machine: describeMachine(),
      sizes: { ...sizes, streams, times },
      filledSeconds,
      reads,
      streamed,
      aim: { p99Ms: aimMs, above: slow.map(([name]) => name) },
    };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await store.stop();
  }
}

await main();
process.exit(0);
