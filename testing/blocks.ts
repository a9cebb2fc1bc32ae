import { Session, type Profiler } from 'node:inspector';

// For a process of its own that imports what it counts after this: code that ran before the counting began is not counted.

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** How often blocks of code ran since it was asked last: the same for the same work on any machine. */
export function countBlocks(): number {
  let taken: Profiler.TakePreciseCoverageReturnType | undefined;
  session.post('Profiler.takePreciseCoverage', (_error, result) => (taken = result));
  const ranges = (taken?.result ?? []).flatMap(({ functions }) => functions.flatMap((each) => each.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}
