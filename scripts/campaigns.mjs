// `npm run campaigns [-- --small]`: what takes too long for `npm test`, one after the other. `--small`: as CI runs it.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  assertNodeVersion,
  ensureBuilt,
  ensureInstalled,
  Failed,
  root,
  runStep,
  say,
  stopSignal,
  Stopped,
} from './lib.mjs';

const script = (path, ...args) => [join(root, path), ...args];
const program = (path, ...args) => ['--import', 'tsx', join(root, path), ...args];

const campaigns = [
  { title: 'tests of the benchmarks', full: script('scripts/test.mjs', '--campaigns') },
  {
    title: 'kills',
    small: program('drill/kill.ts', '--parked', '40'),
    full: program('drill/kill.ts'),
  },
  {
    title: 'races',
    small: program('drill/races.ts', '--races', '100'),
    full: program('drill/races.ts'),
  },
  {
    title: 'nonsense',
    small: program('drill/fuzz.ts', '--requests', '3000'),
    full: program('drill/fuzz.ts'),
  },
];

assertNodeVersion();
const signal = stopSignal();
try {
  const { values } = parseArgs({ options: { small: { type: 'boolean', default: false } } });
  await ensureInstalled(signal);
  await ensureBuilt(signal);
  for (const { title, small, full } of campaigns) {
    say(`== ${title}`);
    const args = values.small ? (small ?? full) : full;
    await runStep(title, process.execPath, args, { signal, graceMs: 25_000 });
  }
} catch (error) {
  process.exitCode = error instanceof Stopped || signal.aborted ? 130 : 1;
  if (error instanceof Failed) process.stderr.write(`${error.message}\n`);
  else if (process.exitCode === 1) process.stderr.write(`${error.stack ?? error}\n`);
}
process.exit();
