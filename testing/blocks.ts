import { Session, type Profiler } from 'node:inspector';

// For use in a process of its own. It imports the code to be counted after this module: what ran before is not counted.

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** Counts how often blocks of code ran since the last call: the same number for the same work on any machine. */
export function countBlocks(): number {
  let taken: Profiler.TakePreciseCoverageReturnType | undefined;
  session.post('Profiler.takePreciseCoverage', (_error, result) => (taken = result));
  const ranges = (taken?.result ?? []).flatMap(({ functions }) => functions.flatMap((each) => each.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}
