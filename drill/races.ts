import { join } from 'node:path';
import { machine } from '../bench/machine.js';
import { rounded, together } from '../bench/measure.js';
import { makePool } from '../src/db/index.js';
import { projectRoot } from '../test/support/paths.js';
import { startStack, type Stack } from '../test/support/stack.js';
import { meetPeople } from './caller.js';
import { findRuns, settle } from './judge.js';
import { raceKinds, run, type Ran } from './race.js';
import { judgeRace, raceFaults, type RaceFault, type RaceVerdict } from './race-judge.js';
import { racesTable, type KindReport } from './table.js';
import { startTarget, type Target } from './target.js';
import { readOptions, wholeNumber } from '../bench/options.js';

// `npm run drill:races [-- --races 1000]`: approve, deny, cancel, duplicates and the deadline at the same gate in the
// same instant, through real HTTP. JSON on stdout, or a table by `--markdown`; status 1 when a race has not exactly one
// outcome that all agree on.

const values = readOptions({
  options: {
    races: { type: 'string', default: '1000' },
    'at-once': { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
    markdown: { type: 'boolean', default: false },
  },
});
const races = wholeNumber('races', values.races);
const seed = wholeNumber('seed', values.seed);
const atOnce = wholeNumber('at-once', values['at-once']);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** mulberry32: the same seed gives the same offsets from the deadline. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function runAll(stack: Stack): Promise<Ran[]> {
  const people = await meetPeople(stack);
  const random = makeRandom(seed);
  const ran: Ran[] = [];
  let next = 0;
  const seconds = await together(races, atOnce, async () => {
    const kind = raceKinds[next % raceKinds.length];
    next += 1;
    if (kind === undefined) return;
    ran.push(await run(kind, people, random));
    if (ran.length % 100 === 0) say(`${ran.length} races`);
  });
  say(`${ran.length} races run in ${rounded(seconds)} s`);
  return ran;
}

interface Counts extends KindReport {
  races: number;
  readonly outcomes: Record<string, number>;
  readonly refused: Record<string, number>;
}

const count = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

interface Judged {
  readonly kinds: Record<string, Counts>;
  readonly faults: Record<RaceFault, number>;
  readonly faulty: object[];
}

async function judgeAll(stack: Stack, target: Target, ran: readonly Ran[]): Promise<Judged> {
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 4 });
  const kinds: Record<string, Counts> = {};
  const faults = Object.fromEntries(raceFaults.map((fault) => [fault, 0])) as Record<RaceFault, number>;
  const faulty: object[] = [];
  try {
    const approvals = ran.map(({ parked }) => parked);
    await settle(
      pool,
      approvals.map((one) => one.approval),
      60_000,
    );
    const found = await findRuns(pool, approvals, target.effects());
    for (const one of ran) {
      const of = found.get(one.parked.run);
      const verdict: RaceVerdict =
        of === undefined ? { outcome: null, faults: ['noSingleOutcome'], refused: [] } : judgeRace(one, of);
      const report = (kinds[one.kind.name] ??= { races: 0, outcomes: {}, refused: {} });
      report.races += 1;
      count(report.outcomes, verdict.outcome ?? 'none');
      for (const refused of verdict.refused) count(report.refused, refused);
      for (const fault of verdict.faults) faults[fault] += 1;
      if (verdict.faults.length > 0) faulty.push({ verdict, told: toldIn(one), found: of ?? null });
    }
    return { kinds, faults, faulty };
  } finally {
    await pool.end();
  }
}

function toldIn({ finishers }: Ran): object[] {
  return finishers.map(({ by, act, told }) => ({ by: by.id, act, ...told.reply, tries: told.tries }));
}

async function main(): Promise<boolean> {
  const target = await startTarget();
  say('starting Postgres, Temporal, API and worker');
  const policies = join(projectRoot, 'drill', 'policies');
  const stack = await startStack({ own: true, policies, env: { ERP_URL: target.url } });
  try {
    const { kinds, faults, faulty } = await judgeAll(stack, target, await runAll(stack));
    const ok = faulty.length === 0;
    const report = {
      machine: machine(),
      ...{ races, seed, effects: target.effects().length },
      ...{ kinds, ...faults, ok, faulty: faulty.slice(0, 10) },
    };
    process.stdout.write(
      values.markdown ? racesTable(kinds, faults) : `${JSON.stringify(report, null, 2)}\n`,
    );
    return ok;
  } finally {
    await stack.stop();
    await target.close();
  }
}

process.exit((await main()) ? 0 : 1);
