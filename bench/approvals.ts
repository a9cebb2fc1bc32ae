import { parseArgs } from 'node:util';
import { startBare } from './gates/bare.js';
import { listenForEffects, type Arrivals } from './gates/arrivals.js';
import { startGoverned } from './gates/governed.js';
import { measureSide, type Plan, type Row } from './gates/measure.js';
import { installPeers, startDbos, startRestate } from './gates/peers.js';
import { gatesTable, type SideReport } from './gates/report.js';
import type { Side } from './gates/side.js';
import { machine } from './machine.js';

// `npm run bench:approvals [-- --parked 10000,100000 --decisions 1000 --no-peers --markdown …]`: start -> wait for
// approval -> one HTTP effect -> done, with the product, a bare Temporal workflow, Restate and DBOS, one after another,
// each on servers of its own. JSON on stdout (or tables for docs/performance.md), progress on stderr.

const { values } = parseArgs({
  allowNegative: true,
  options: {
    parked: { type: 'string', default: '10000,100000' },
    decisions: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '32' },
    minutes: { type: 'string', default: '120' },
    only: { type: 'string', default: 'countersign,temporal,restate,dbos' },
    peers: { type: 'boolean', default: true },
    markdown: { type: 'boolean', default: false },
  },
});
const number = (text: string): number => Math.max(Number(text) || 0, 1);
const plan: Plan = {
  parked: values.parked
    .split(',')
    .map(number)
    .sort((a, b) => a - b),
  decisions: number(values.decisions),
  kills: number(values.kills),
  inFlight: number(values['in-flight']),
  minutes: number(values.minutes),
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

async function report({ name, start }: Entry, arrivals: Arrivals): Promise<SideReport> {
  say(`${name}: starting`);
  let side: Side;
  try {
    side = await start(arrivals.url);
  } catch (error) {
    return { name, status: 'unavailable', reason: String(error) };
  }
  const { about } = side;
  const rows: Row[] = [];
  try {
    for await (const row of measureSide(side, plan, arrivals, say)) rows.push(row);
    return { name, status: 'measured', about, rows };
  } catch (error) {
    say(`${name}: ${String(error)}`);
    return { name, status: 'failed', about, reason: String(error), rows };
  } finally {
    await side.stop();
  }
}

async function main(): Promise<void> {
  const wanted = values.only.split(',');
  const chosen = entries.filter(({ name, isPeer }) => wanted.includes(name) && (values.peers || !isPeer));
  const missing = chosen.some(({ isPeer }) => isPeer) ? await installPeers() : null;
  const arrivals = await listenForEffects();
  const sides: SideReport[] = [];
  for (const entry of chosen)
    sides.push(
      entry.isPeer && missing !== null
        ? { name: entry.name, status: 'unavailable', reason: missing }
        : await report(entry, arrivals),
    );
  await arrivals.close();
  const json = { machine: machine(), plan, sides };
  process.stdout.write(
    values.markdown ? gatesTable(plan.parked, sides) : `${JSON.stringify(json, null, 2)}\n`,
  );
}

await main();
process.exit(0);
