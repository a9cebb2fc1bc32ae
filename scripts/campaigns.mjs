// `npm run campaigns [-- --small]` runs the tests that take too long for `npm test`, one after the other. CI uses `--small`.
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

/** `isSmall`: CI runs it too. Of the drills CI runs small sizes, which are among the tests. */
const campaigns = [
  { title: 'what `npm test` leaves out', args: script('scripts/test.mjs', '--campaigns'), isSmall: true },
  { title: 'kills', args: program('drill/kill.ts'), isSmall: false },
  { title: 'races', args: program('drill/races.ts'), isSmall: false },
  { title: 'nonsense', args: program('drill/fuzz.ts'), isSmall: false },
  // It needs Python, which CI does not install.
  { title: 'the contract', args: program('drill/contract.ts'), isSmall: false },
];

assertNodeVersion();
const signal = stopSignal();
try {
  const { values } = parseArgs({ options: { small: { type: 'boolean', default: false } } });
  await ensureInstalled(signal);
  await ensureBuilt(signal);
  for (const { title, args } of campaigns.filter(({ isSmall }) => isSmall || !values.small)) {
    say(`== ${title}`);
    await runStep(title, process.execPath, args, { signal, graceMs: 25_000 });
  }
} catch (error) {
  process.exitCode = error instanceof Stopped || signal.aborted ? 130 : 1;
  if (error instanceof Failed) process.stderr.write(`${error.message}\n`);
  else if (process.exitCode === 1) process.stderr.write(`${error.stack ?? error}\n`);
}
process.exit();
