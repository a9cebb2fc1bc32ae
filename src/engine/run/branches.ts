import type { Transition } from '../plan.js';
import type { Action } from '../state.js';
import { actionFact, record, type Draft } from './draft.js';
import { evaluateGuard } from '../guards.js';
import { guardContext } from '../links.js';
import { stepMeter } from '../expression/meter.js';
import { actingNow } from '../rights.js';

/** The state to which a transition leads. Null: its conditions compare more than a step may, so that nobody knows where it leads. */
export function branchTarget(draft: Draft, transition: Transition, action: Action): string | null {
  const at = {
    ...guardContext(draft.run, actingNow(draft.kit, action), action.arguments),
    meter: stepMeter(draft.work, action.byRuntime === true),
  };
  for (const [index, branch] of transition.branches.entries()) {
    const { verdict, reason } = evaluateGuard(branch.when, at);
    if (verdict === 'error' && !at.meter.isLeft()) return null;
    if (verdict !== 'pass') continue;
    record(draft, 'transition.branched', {
      action: actionFact(action),
      data: { index, target: branch.target, reason },
    });
    return branch.target;
  }
  return transition.target;
}
