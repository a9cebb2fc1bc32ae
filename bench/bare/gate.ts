import { proxyActivities } from '@temporalio/workflow';
import { waitForDecision } from '../waiting.js';

export interface GateActivities {
  effect(): Promise<void>;
}

const { effect } = proxyActivities<GateActivities>({ startToCloseTimeout: '30s' });

/** start -> wait for approval -> one HTTP effect -> done. */
export async function gate(): Promise<void> {
  if ((await waitForDecision()) === 'approve') await effect();
}
