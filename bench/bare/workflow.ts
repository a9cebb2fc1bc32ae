import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';
import type { BareActivities } from './activities.js';

export const decideSignal = defineSignal<[decision: string]>('decide');

const { effect } = proxyActivities<BareActivities>({ startToCloseTimeout: '30s' });

/** What one writes by hand: wait for the decision, act, note it. */
export async function bare(): Promise<void> {
  let decision: string | null = null;
  setHandler(decideSignal, (given) => {
    decision = given;
  });
  await condition(() => decision !== null);
  await effect();
}
