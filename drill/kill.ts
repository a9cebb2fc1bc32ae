import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rounded, together } from '../bench/measure.js';
import { machine } from '../bench/machine.js';
import { makePool } from '../src/db/index.js';
import { startStack, type Stack } from '../test/support/stack.js';
import { projectRoot } from '../test/support/paths.js';
import { buildOf, makeNewBuild, type Build } from './build.js';
import { meetPeople, park, type Parked, type People } from './caller.js';
import { decideAll, flowOf, planOf, strike, type Blow, type Case, type Struck } from './kill-phases.js';
import { faults, findRuns, settle, verdictOf, type Fault } from './judge.js';
import { startTarget, type Target } from './target.js';

// `npm run drill:kill [-- --parked 500]`: parks approvals, kills everything in turn while people decide, deploys a new
// build, decides the rest, and counts what was lost, executed without approval, or twice. JSON on stdout; status 1
// when any of it is not 0.

const { values } = parseArgs({ options: { parked: { type: 'string', default: '500' } } });
const parkedCount = Math.max(Math.trunc(Number(values.parked)) || 0, 6);
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const inFlight = 8;

async function parkAll(people: People): Promise<Case[]> {
  const cases: Case[] = [];
  let next = 0;
  const seconds = await together(parkedCount, inFlight, async () => {
    const n = next;
    next += 1;
    const { flow, transition } = flowOf(n);
    const parked: Parked = await park(people.agent, flow, transition);
    cases.push({ parked, plan: planOf(n, parked) });
  });
  say(`${cases.length} approvals parked in ${rounded(seconds)} s`);
  return cases;
}

/** The blows in their order. The new build stays for all that follow. */
function blowsOn(stack: Stack, newBuild: Build): readonly Blow[] {
  const { worker, api, temporal, postgres } = stack;
  if (temporal === null || postgres === null) throw new Error('the drill needs servers of its own');
  const killed = (
    name: string,
    one: { kill(): Promise<void>; restart(root?: string): Promise<void> },
  ): Blow => ({
    name: `kill -9 of ${name}`,
    down: () => one.kill(),
    up: () => one.restart(newBuildIsUp ? newBuild.root : undefined),
  });
  let newBuildIsUp = false;
  const deploy: Blow = {
    name: 'a new build deployed',
    down: async () => {
      newBuildIsUp = true;
      await Promise.all([worker.kill('SIGTERM'), api.kill('SIGTERM')]);
    },
    up: async () => void (await Promise.all([api.restart(newBuild.root), worker.restart(newBuild.root)])),
  };
  return [
    killed('the worker', worker),
    killed('the API', api),
    deploy,
    killed('Temporal', temporal),
    killed('Postgres', postgres),
  ];
}

async function judge(
  stack: Stack,
  target: Target,
  cases: readonly Case[],
): Promise<{ counts: Record<Fault, number>; records: number; faulty: object[] }> {
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 4 });
  try {
    const approvals = cases.map(({ parked }) => parked);
    const open = await settle(
      pool,
      approvals.map((one) => one.approval),
      120_000,
    );
    if (open > 0) say(`${open} approvals have not ended`);
    const found = await findRuns(pool, approvals, target.effects());
    const counts = Object.fromEntries(faults.map((fault) => [fault, 0])) as Record<Fault, number>;
    const faulty: object[] = [];
    let records = 0;
    for (const { plan } of cases) {
      const one = found.get(plan.run);
      const verdict = one === undefined ? (['lost', 'notEnded'] as const) : verdictOf(plan, one);
      for (const fault of verdict) counts[fault] += 1;
      if (verdict.length > 0) faulty.push({ verdict, plan, found: one });
      records += one?.records.length ?? 0;
    }
    // An effect of a run that nobody parked has no approval either.
    const known = new Set(approvals.map((one) => one.run));
    counts.executedWithoutApproval += target.effects().filter((one) => !known.has(one.run)).length;
    return { counts, records, faulty };
  } finally {
    await pool.end();
  }
}

async function drill(stack: Stack, target: Target, newBuild: Build): Promise<boolean> {
  const people = await meetPeople(stack);
  const cases = await parkAll(people);
  const blows = blowsOn(stack, newBuild);
  const share = Math.max(Math.floor(cases.length / (blows.length + 1)), 1);
  const phases: Struck[] = [];
  for (const [index, blow] of blows.entries()) {
    phases.push(await strike(stack, people, blow, cases.slice(index * share, (index + 1) * share)));
    say(`${blow.name}: ${JSON.stringify(phases.at(-1))}`);
  }
  const rest = cases.slice(blows.length * share);
  const calm = await decideAll(people, rest);
  say(`the remaining ${rest.length} decided`);
  const { counts, records, faulty } = await judge(stack, target, cases);
  const ok = faults.every((fault) => counts[fault] === 0);
  const decided = (wanted: string): number => cases.filter(({ plan }) => plan.decision === wanted).length;
  const effects = target.effects();
  const report = {
    machine: machine(),
    builds: { first: buildOf(projectRoot).bundle, second: newBuild.bundle },
    parked: cases.length,
    approved: decided('approve'),
    denied: decided('deny'),
    phases,
    rest: { approvals: rest.length, unanswered: calm.unanswered },
    effects: effects.length,
    requestsRepeatedUnderTheSameKey: effects.reduce((sum, one) => sum + one.requests - 1, 0),
    records,
    ...counts,
    ok,
    faulty: faulty.slice(0, 10),
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  return ok;
}

async function main(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-drill-'));
  const target = await startTarget();
  try {
    say('making a second build');
    const newBuild = await makeNewBuild(join(folder, 'next'), `drill ${Date.now()}`);
    say('starting Postgres, Temporal, API and worker');
    const policies = join(projectRoot, 'drill', 'policies');
    const stack = await startStack({ own: true, policies, env: { ERP_URL: target.url } });
    try {
      return await drill(stack, target, newBuild);
    } catch (error) {
      say(stack.logs());
      throw error;
    } finally {
      await stack.stop();
    }
  } finally {
    await target.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exit((await main()) ? 0 : 1);
