import { proxyActivities } from '@temporalio/workflow';
import { waitForDecision } from '../waiting.js';
import type { Asked, HandwrittenActivities } from './activities.js';

const { effectWithAudit, checkPolicy, openApproval, effect, recordAudit } =
  proxyActivities<HandwrittenActivities>({ startToCloseTimeout: '30s' });

/** Waits for the decision, acts and notes it: no governance. */
export async function bare(): Promise<void> {
  await waitForDecision();
  await effectWithAudit();
}

/**
 * The same governance as a tutorial would write it: check a policy, record the request, open an approval, wait for a decision,
 * make the effect and record it. Nothing is signed, bound or chained, and whoever can send a signal decides.
 */
export async function byHand(asked: Asked): Promise<void> {
  const verdict = await checkPolicy(asked);
  await recordAudit({ what: 'requested', time: new Date().toISOString(), detail: verdict });
  if (verdict === 'refused') return;
  await openApproval(asked);
  if ((await waitForDecision()) !== 'approve') return;
  const startedAt = await effect();
  await recordAudit({ what: 'released', time: startedAt, detail: asked.transition });
}
