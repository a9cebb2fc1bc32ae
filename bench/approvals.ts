import { writeFileSync } from 'node:fs';
import { startBare } from './gates/bare.js';
import { listenForEffects, type Arrivals } from './gates/arrivals.js';
import { startGoverned } from './gates/governed.js';
import { listenForInterrupt } from './gates/interrupt.js';
import { measureSide, type MeasurePlan, type Row } from './gates/measure.js';
import { installPeers, startDbos, startRestate } from './gates/peers.js';
import { renderGatesTable, type SideReport } from './gates/report.js';
import type { Side } from './gates/side.js';
import { describeMachine } from './machine.js';
import { positiveNumber, readOptions, wholeNumber } from './options.js';

// `npm run bench:approvals [-- --parked 10000,100000 --sides countersign,temporal --decisions 1000 --markdown …]` measures start
// -> wait for approval -> one HTTP effect -> done with the product, a bare Temporal workflow, Restate and DBOS, one after
// another, each on servers of its own. Prints JSON (or tables for docs/performance.md) on stdout, and progress on stderr, with
// each row as soon as it is measured. Ctrl-C stops what runs and prints what was measured.

const values = readOptions({
  allowNegative: true,
  options: {
    parked: { type: 'string', default: '10000,100000' },
    decisions: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '32' },
    minutes: { type: 'string', default: '120' },
    // For the whole benchmark: no run is parked after this time.
    'all-minutes': { type: 'string' },
    // The limit for each measurement of decisions, and for the kills.
    'deciding-minutes': { type: 'string', default: '5' },
    sides: { type: 'string', default: 'countersign,temporal,restate,dbos' },
    peers: { type: 'boolean', default: true },
    markdown: { type: 'boolean', default: false },
    // A file that gets the JSON after each side, so that a run of hours can be made into tables later.
    json: { type: 'string' },
  },
});
const plan: MeasurePlan = {
  parked: values.parked
    .split(',')
    .map((text) => wholeNumber('parked', text))
    .sort((a, b) => a - b),
  decisions: wholeNumber('decisions', values.decisions),
  kills: wholeNumber('kills', values.kills),
  inFlight: wholeNumber('in-flight', values['in-flight']),
  minutes: positiveNumber('minutes', values.minutes),
  endsAt:
    values['all-minutes'] === undefined
      ? Infinity
      : performance.now() + positiveNumber('all-minutes', values['all-minutes']) * 60_000,
  decidingMs: positiveNumber('deciding-minutes', values['deciding-minutes']) * 60_000,
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Entry {
  readonly name: string;
  readonly isPeer: boolean;
  start(target: string): Promise<Side>;
}

const entries: readonly Entry[] = [
  { name: 'countersign', isPeer: false, start: startGoverned },
  { name: 'temporal', isPeer: false, start: startBare },
  { name: 'restate', isPeer: true, start: startRestate },
  { name: 'dbos', isPeer: true, start: startDbos },
];

const interrupt = listenForInterrupt();

async function report({ name, start }: Entry, arrivals: Arrivals): Promise<SideReport> {
  if (interrupt.status() !== null) return { name, status: 'unavailable', reason: 'interrupted before' };
  say(`${name}: starting`);
  let side: Side;
  try {
    side = await start(arrivals.url);
  } catch (error) {
    return { name, status: 'unavailable', reason: String(error) };
  }
  say(`${name}: working`);
  const { about } = side;
  const rows: Row[] = [];
  const measure = async (): Promise<void> => {
    for await (const row of measureSide(side, plan, arrivals, say)) {
      rows.push(row);
      say(`${name}: ${JSON.stringify(row)}`);
    }
  };
  try {
    await interrupt.unless(measure());
    return { name, status: 'measured', about, rows };
  } catch (error) {
    say(`${name}: ${String(error)}`);
    return { name, status: 'failed', about, reason: String(error), rows };
  } finally {
    await side.stop().catch((error: unknown) => say(`${name} did not stop: ${String(error)}`));
  }
}

function entryOf(wanted: string): Entry {
  const found = entries.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const names = entries.map(({ name }) => name).join(', ');
  throw new Error(`there is no side \`${wanted}\`: give some of ${names}`);
}

async function main(): Promise<void> {
  const wanted = values.sides.split(',');
  const chosen = wanted.map(entryOf).filter(({ isPeer }) => values.peers || !isPeer);
  const missing = chosen.some(({ isPeer }) => isPeer) ? await installPeers() : null;
  const arrivals = await listenForEffects();
  const sides: SideReport[] = [];
  const json = (): string => `${JSON.stringify({ machine: describeMachine(), plan, sides }, null, 2)}\n`;
  for (const entry of chosen) {
    const isAbsent = entry.isPeer && missing !== null;
    sides.push(
      isAbsent ? { name: entry.name, status: 'unavailable', reason: missing } : await report(entry, arrivals),
    );
    if (values.json !== undefined) writeFileSync(values.json, json());
  }
  await arrivals.close();
  process.stdout.write(values.markdown ? renderGatesTable(plan.parked, sides) : json());
}

await main();
process.exit(interrupt.status() ?? 0);
