import { getDecision } from '../src/store/approvals/decisions.js';
import { until } from '../testing/flows.js';
import type { Stack } from '../testing/servers/stack.js';
import type { Governed, Parked } from './governed.js';
import { rounded } from './measure.js';

export interface Recovery {
  /** From the kill to the first decision that a run has taken, with the restart of the worker in between. */
  readonly firstDecisionMs: number;
  readonly allDecisionsMs: number;
  readonly decisions: number;
}

/** Kills a worker that has runs in its cache with `kill -9`; it is started again at once, and people decide at once. */
export async function measureRecovery(stack: Stack, governed: Governed, count: number): Promise<Recovery> {
  const parked: Parked[] = [];
  for (let left = count; left > 0; left -= 1) parked.push(await governed.park());
  const killed = performance.now();
  await stack.worker.kill('SIGKILL');
  const restarted = stack.worker.restart();
  const took = await Promise.all(
    parked.map(async (run) => {
      const id = await governed.approve(run);
      await until(
        'the decision to be applied',
        async () => (await getDecision(governed.deps.pool, id))?.status === 'applied',
      );
      return performance.now() - killed;
    }),
  );
  await restarted;
  await Promise.all(parked.map(({ run }) => governed.ended(run)));
  return {
    firstDecisionMs: rounded(Math.min(...took)),
    allDecisionsMs: rounded(Math.max(...took)),
    decisions: took.length,
  };
}
