import { Session, type Profiler } from 'node:inspector';

// `growth.test.ts` starts it: a process of its own, since code that ran before the counting began is not counted.
// Writes, of each shape, the work that checking a quarter of it takes, and all of it.

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
const { checkFlowText } = await import('../../src/policy/index.js');
const { catalog, shapes } = await import('./large-flows.js');

/** How often blocks of code ran since it was asked last: the same for the same work on any machine. */
function countBlocks(): number {
  let taken: Profiler.TakePreciseCoverageReturnType | undefined;
  session.post('Profiler.takePreciseCoverage', (_error, result) => (taken = result));
  const ranges = (taken?.result ?? []).flatMap(({ functions }) => functions.flatMap((each) => each.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}

function workOf(text: string): number {
  countBlocks();
  checkFlowText(text, { catalog, media: 'json' });
  return countBlocks();
}

// Reachability may take a square until it has looked as far as it may (`analysis.ts`): of these shapes a quarter gets there.
const counts = Object.entries(shapes).map(([title, { count, text }]) => {
  const whole = title.includes('as many keys') ? count : Math.min(count, 400);
  // What is made once in a process is made before.
  workOf(text(8));
  return [title, [workOf(text(whole / 4)), workOf(text(whole))]] as const;
});
process.stdout.write(JSON.stringify(Object.fromEntries(counts)));
