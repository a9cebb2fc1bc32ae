import { proxyActivities } from '@temporalio/workflow';
import { waitForDecision } from '../waiting.js';
import type { Asked, HandwrittenActivities } from './activities.js';

const { effectWithAudit, checkPolicy, openApproval, effect, recordAudit } =
  proxyActivities<HandwrittenActivities>({ startToCloseTimeout: '30s' });

/** Wait for the decision, act, note it: no governance. */
export async function bare(): Promise<void> {
  await waitForDecision();
  await effectWithAudit();
}

/**
 * The same governance as a tutorial has it: a policy is checked, the request recorded, an approval opened, a decision waited
 * for, the effect made and recorded. Nothing is signed, bound or chained, and whoever can signal decides.
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
