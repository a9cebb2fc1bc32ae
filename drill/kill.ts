import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rounded, runConcurrently } from '../bench/measure.js';
import { describeMachine } from '../bench/machine.js';
import { makePool, type Pool } from '../src/db/index.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { projectRoot } from '../testing/paths.js';
import { buildOf, copyBuild, makeNewBuild, type Build } from './build.js';
import { makePeople, park, type Parked, type People } from './caller.js';
import { countOpen, faults, findRuns, settle, judgeRun, type Fault, type Told } from './judge.js';
import {
  countUnanswered,
  decideCases,
  flowOf,
  planOf,
  decideThroughOutage,
  waitThroughOutage,
  type Outage,
  type Case,
  type OutageWhileWaiting,
  type OutageWhileDeciding,
} from './killing/phases.js';
import { runUnderWayScenarios } from './killing/under-way.js';
import { renderKillTable } from './table.js';
import { startTarget, type Target } from './target.js';
import { readOptions, wholeNumber } from '../bench/options.js';

// `npm run drill:kill [-- --parked 500]` parks approvals. While all of them wait, it kills each process in turn and deploys a new
// build. It does so again, with another build, while people decide. Then it has the rest decided, and counts what was lost,
// executed without approval, or executed twice. Last, it kills or stops the worker while a run is at work. `--once`: only the
// round in which people decide, with copies of the existing build. Prints JSON on stdout, or a table with `--markdown`. Exits
// with 1 if any of these counts is not 0.

const values = readOptions({
  options: {
    parked: { type: 'string', default: '500' },
    once: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
  },
});
const parkedCount = wholeNumber('parked', values.parked, 6);
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const inFlight = 8;
/** How many runs a scenario of `killing/under-way.ts` gets at most. */
const underWayCount = Math.min(Math.max(Math.floor(parkedCount / 10), 2), 20);

interface Builds {
  readonly second: Build;
  readonly third: Build;
}

async function parkAll(people: People): Promise<Case[]> {
  const cases: Case[] = [];
  let next = 0;
  const seconds = await runConcurrently(parkedCount, inFlight, async () => {
    const n = next;
    next += 1;
    const { flow, transition } = flowOf(n);
    const parked: Parked = await park(people.agent, flow, transition);
    cases.push({ parked, plan: planOf(n, parked) });
  });
  say(`${cases.length} approvals parked in ${rounded(seconds)} s`);
  return cases;
}

/** The outages of both rounds, in order. A build that is deployed stays for all later outages. */
function listOutages(
  stack: Stack,
  builds: Builds,
): Record<'whileAllWait' | 'whilePeopleDecide', readonly Outage[]> {
  const { worker, api, temporal, postgres } = stack;
  if (temporal === null || postgres === null) throw new Error('the drill needs servers of its own');
  let root: string | undefined;
  const kill = (
    name: string,
    process: { kill(signal: NodeJS.Signals): Promise<void>; restart(root?: string): Promise<void> },
  ): Outage => ({
    name: `kill -9 of ${name}`,
    down: () => process.kill('SIGKILL'),
    up: () => process.restart(root),
  });
  const deploy = (build: Build): Outage => ({
    name: 'a new build deployed',
    down: async () => {
      root = build.root;
      await Promise.all([worker.kill('SIGTERM'), api.kill('SIGTERM')]);
    },
    up: async () => void (await Promise.all([api.restart(root), worker.restart(root)])),
  });
  const [productKills, serverKills] = [
    [kill('the worker', worker), kill('the API', api)],
    [kill('Temporal', temporal), kill('Postgres', postgres)],
  ];
  return {
    whileAllWait: [...productKills, deploy(builds.second), ...serverKills],
    whilePeopleDecide: [...productKills, deploy(builds.third), ...serverKills],
  };
}

interface KillVerdicts {
  readonly counts: Record<Fault, number>;
  /** Approved runs with exactly one effect. */
  readonly executedOnce: number;
  /** Denied runs without an effect. */
  readonly deniedUntouched: number;
  readonly records: number;
  readonly faulty: readonly object[];
}

async function judge(
  pool: Pool,
  target: Target,
  cases: readonly Case[],
  told: readonly Told[],
): Promise<KillVerdicts> {
  const approvals = cases.map(({ parked }) => parked);
  const open = await settle(
    pool,
    approvals.map((approval) => approval.approval),
    120_000,
  );
  if (open > 0) say(`${open} approvals have not ended`);
  const found = await findRuns(pool, approvals, target.effects());
  const counts = Object.fromEntries(faults.map((fault) => [fault, 0])) as Record<Fault, number>;
  const faulty: object[] = [];
  let records = 0;
  for (const { plan } of cases) {
    const run = found.get(plan.run);
    const answers = told.filter((answer) => answer.run === plan.run);
    const verdict = run === undefined ? (['lost', 'notEnded'] as const) : judgeRun(plan, run, answers);
    for (const fault of verdict) counts[fault] += 1;
    if (verdict.length > 0) faulty.push({ verdict, plan, found: run, answers });
    records += run?.records.length ?? 0;
  }
  // Nobody has approved an effect of a run that was not parked.
  const known = new Set(approvals.map((approval) => approval.run));
  counts.executedWithoutApproval += target.effects().filter((effect) => !known.has(effect.run)).length;
  const withEffects = (decision: string, effects: number): number =>
    cases.filter(({ plan }) => plan.decision === decision && found.get(plan.run)?.effects.length === effects)
      .length;
  const [executedOnce, deniedUntouched] = [withEffects('approve', 1), withEffects('deny', 0)];
  return { counts, executedOnce, deniedUntouched, records, faulty };
}

async function waitThrough(
  stack: Stack,
  pool: Pool,
  cases: readonly Case[],
  outages: readonly Outage[],
): Promise<OutageWhileWaiting[]> {
  const approvals = cases.map(({ parked }) => parked.approval);
  const results: OutageWhileWaiting[] = [];
  for (const outage of outages) {
    results.push(await waitThroughOutage(stack, outage, () => countOpen(pool, approvals)));
    say(`${outage.name}: ${JSON.stringify(results.at(-1))}`);
  }
  return results;
}

async function drill(stack: Stack, pool: Pool, target: Target, builds: Builds): Promise<boolean> {
  const people = await makePeople(stack);
  const cases = await parkAll(people);
  const { whileAllWait, whilePeopleDecide } = listOutages(stack, builds);
  const whileWaiting = values.once ? [] : await waitThrough(stack, pool, cases, whileAllWait);
  const effectsBeforeAnyDecision = target.effects().length;
  const share = Math.max(Math.floor(cases.length / (whilePeopleDecide.length + 1)), 1);
  const whileDeciding: OutageWhileDeciding[] = [];
  const told: Told[] = [];
  let isKept = true;
  for (const [index, outage] of whilePeopleDecide.entries()) {
    const [from, to] = [index * share, (index + 1) * share];
    const decided = await decideThroughOutage(stack, people, outage, cases.slice(from, to));
    whileDeciding.push(decided.seen);
    told.push(...decided.told);
    const others = cases.slice(to).map(({ parked }) => parked.approval);
    const waiting = await countOpen(pool, others);
    isKept &&= waiting === others.length;
    say(`${outage.name}: ${waiting} other approvals wait, ${JSON.stringify(whileDeciding.at(-1))}`);
  }
  const rest = cases.slice(whilePeopleDecide.length * share);
  const calm = await decideCases(people, rest);
  say(`the remaining ${rest.length} approvals are decided`);
  const { counts, faulty, ...judged } = await judge(pool, target, cases, [...told, ...calm]);
  const effects = target.effects();
  const underWay = await runUnderWayScenarios({ stack, pool, people, target }, underWayCount);
  for (const scenario of underWay) say(`${scenario.name}: ${JSON.stringify(scenario)}`);
  const stayed =
    isKept && whileWaiting.every(({ waiting }) => waiting === cases.length) && effectsBeforeAnyDecision === 0;
  const ok =
    stayed &&
    faults.every((fault) => counts[fault] === 0) &&
    underWay.every((scenario) => scenario.faults.length === 0);
  const decided = (wanted: string): number => cases.filter(({ plan }) => plan.decision === wanted).length;
  const report = {
    machine: describeMachine(),
    builds: { first: buildOf(projectRoot).bundle, second: builds.second.bundle, third: builds.third.bundle },
    parked: cases.length,
    approved: decided('approve'),
    denied: decided('deny'),
    ...{ whileAllWait: whileWaiting, effectsBeforeAnyDecision, whilePeopleDecide: whileDeciding },
    rest: { approvals: rest.length, unanswered: countUnanswered(calm) },
    effects: effects.length,
    requestsRepeatedUnderTheSameKey: effects.reduce((sum, effect) => sum + effect.requests - 1, 0),
    ...judged,
    ...counts,
    underWay,
    ok,
    faulty: faulty.slice(0, 10),
  };
  process.stdout.write(values.markdown ? renderKillTable(report) : `${JSON.stringify(report, null, 2)}\n`);
  return ok;
}

async function main(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-drill-'));
  const target = await startTarget();
  try {
    say('making two more builds');
    const make = values.once ? copyBuild : makeNewBuild;
    const builds = {
      second: await make(join(folder, 'second'), `drill ${Date.now()}`),
      third: await make(join(folder, 'third'), `drill ${Date.now()}, again`),
    };
    say('starting Postgres, Temporal, API and worker');
    const policies = join(projectRoot, 'drill', 'policies');
    const stack = await startStack({ own: true, fsync: true, policies, env: { ERP_URL: target.url } });
    const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 4 });
    try {
      return await drill(stack, pool, target, builds);
    } catch (error) {
      say(stack.logs());
      throw error;
    } finally {
      await pool.end();
      await stack.stop();
    }
  } finally {
    await target.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exit((await main()) ? 0 : 1);
