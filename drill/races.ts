import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../bench/machine.js';
import { rounded, runConcurrently } from '../bench/measure.js';
import { makePool, type Pool } from '../src/db/index.js';
import { projectRoot } from '../testing/paths.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { makePeople } from './caller.js';
import { makeDesk } from './desk.js';
import { findRuns, settle } from './judge.js';
import { makeRandom } from './random.js';
import { raceKinds, runGateRace, type Ran } from './racing/race.js';
import { judgeRace, raceFaults, type RaceFault, type RaceVerdict } from './racing/race-judge.js';
import { judgeRunRace } from './racing/run-race-judge.js';
import { runRace, runRaceKinds, type RunRan } from './racing/run-race.js';
import { renderRacesTable, type KindReport } from './table.js';
import { startTarget, type Effect, type Target } from './target.js';
import { findWholeRun, settleRuns } from './whole-run.js';
import { readOptions, wholeNumber } from '../bench/options.js';

// `npm run drill:races [-- --races 1000]` sends approvals, denials, cancels, duplicates and a reload to the same gate at the same
// moment, some of them at its deadline, and many messages to the same run, through real HTTP. `--shared`: uses the servers of
// `npm test`. Prints JSON on stdout, or a table with `--markdown`. Exits with 1 if a race has not exactly one outcome, or if an
// answer, the record or the target disagrees with it.

const values = readOptions({
  options: {
    races: { type: 'string', default: '1000' },
    'at-once': { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
    shared: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
  },
});
const races = wholeNumber('races', values.races);
const seed = wholeNumber('seed', values.seed);
const atOnce = wholeNumber('at-once', values['at-once']);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface RacesContext {
  readonly stack: Stack;
  readonly target: Target;
  readonly pool: Pool;
}

interface AllRan {
  readonly atGates: readonly Ran[];
  readonly inRuns: readonly RunRan[];
}

async function runAll({ stack, target, pool }: RacesContext): Promise<AllRan> {
  const people = await makePeople(stack);
  const random = makeRandom(seed);
  const desk = makeDesk(stack.policies, people.operator);
  const atGates: Ran[] = [];
  const inRuns: RunRan[] = [];
  const kinds = [
    ...raceKinds.map(
      (kind) => async () => void atGates.push(await runGateRace(kind, { people, desk, pool }, random)),
    ),
    ...runRaceKinds.map(
      (kind) => async () => void inRuns.push(await runRace(kind, { stack, people, target }, random)),
    ),
  ];
  let next = 0;
  const seconds = await runConcurrently(races, atOnce, async () => {
    const race = kinds[next % kinds.length];
    next += 1;
    await race?.();
    const ran = atGates.length + inRuns.length;
    if (ran % 100 === 0) say(`${ran} races run`);
  });
  say(`${atGates.length + inRuns.length} races run in ${rounded(seconds)} s`);
  return { atGates, inRuns };
}

interface Counts extends KindReport {
  races: number;
  readonly outcomes: Record<string, number>;
  readonly refused: Record<string, number>;
}

const count = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

interface RaceVerdicts {
  readonly kinds: Record<string, Counts>;
  readonly faults: Record<RaceFault, number>;
  readonly faulty: object[];
}

const lost: RaceVerdict = { outcome: null, faults: ['noSingleOutcome'], refused: [] };
const settleMs = 60_000;

async function judgeAll({ target, pool }: RacesContext, { atGates, inRuns }: AllRan): Promise<RaceVerdicts> {
  const kinds: Record<string, Counts> = {};
  const faults = Object.fromEntries(raceFaults.map((fault) => [fault, 0])) as Record<RaceFault, number>;
  const faulty: object[] = [];
  const note = (kind: string, verdict: RaceVerdict, seen: object): void => {
    const report = (kinds[kind] ??= { races: 0, outcomes: {}, refused: {} });
    report.races += 1;
    count(report.outcomes, verdict.outcome ?? 'none');
    for (const refused of verdict.refused) count(report.refused, refused);
    for (const fault of verdict.faults) faults[fault] += 1;
    if (verdict.faults.length > 0) faulty.push({ kind, verdict, ...seen });
  };
  const approvals = atGates.map(({ parked }) => parked);
  const ids = approvals.map((approval) => approval.approval);
  await settle(pool, ids, settleMs);
  const runs = inRuns.map((ran) => ran.run);
  await settleRuns(pool, runs, settleMs);
  const found = await findRuns(pool, approvals, target.effects());
  for (const ran of atGates) {
    const run = found.get(ran.parked.run);
    note(ran.kind.name, run === undefined ? lost : judgeRace(ran, run), { told: toldIn(ran), found: run });
  }
  for (const ran of inRuns) {
    const run = await findWholeRun(pool, ran.run, effectsIn(ran, target.effects()));
    note(ran.kind.name, run === null ? lost : judgeRunRace(ran, run), { told: ran.asked, found: run });
  }
  const known = new Set([...approvals.map((approval) => approval.run), ...inRuns.flatMap(namesOf)]);
  const strange = target.effects().filter((effect) => !known.has(effect.run));
  faults.effectsDisagree += strange.length;
  return { kinds, faults, faulty: [...faulty, ...strange] };
}

/** The names that the effects of a race may bear: the id of its run or, without an idempotency key, the vendor who is paid. */
function namesOf({ run, asked }: RunRan): readonly string[] {
  return [run, ...asked.map(({ vendor }) => vendor)];
}

function effectsIn(ran: RunRan, effects: readonly Effect[]): readonly Effect[] {
  const names = new Set(namesOf(ran));
  return effects.filter((effect) => names.has(effect.run));
}

function toldIn({ finishers }: Ran): object[] {
  return finishers.map(({ by, act, told }) => ({ by: by.id, act, ...told.reply, tries: told.tries }));
}

/** The stack gets a copy of the policies, since reloads change them. */
function readPolicyTexts(): Record<string, string> {
  const folder = join(projectRoot, 'drill', 'policies');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')] as const),
  );
}

async function main(): Promise<boolean> {
  const target = await startTarget();
  say('starting Postgres, Temporal, API and worker');
  const stack = await startStack({
    own: !values.shared,
    policies: readPolicyTexts(),
    env: { ERP_URL: target.url },
  });
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 4 });
  try {
    const context = { stack, target, pool };
    const { kinds, faults, faulty } = await judgeAll(context, await runAll(context));
    const ok = faulty.length === 0;
    const report = {
      machine: describeMachine(),
      ...{ races, seed, effects: target.effects().length },
      ...{ kinds, ...faults, ok, faulty: faulty.slice(0, 10) },
    };
    process.stdout.write(
      values.markdown ? renderRacesTable(kinds, faults) : `${JSON.stringify(report, null, 2)}\n`,
    );
    if (!ok && values.markdown) process.stderr.write(`${JSON.stringify(faulty.slice(0, 10), null, 2)}\n`);
    return ok;
  } finally {
    await pool.end();
    await stack.stop();
    await target.close();
  }
}

process.exit((await main()) ? 0 : 1);
