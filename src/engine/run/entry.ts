import type { OnEnter } from '../plan.js';
import type { Problem } from '../state.js';
import type { Until } from './stuck/way-on.js';
import type { Draft } from './draft.js';
import { entryStep, environmentUnknown, gatesFor } from '../gates/gates.js';
import { blockedBy, guardContext } from '../links.js';
import { stepMeter } from '../expression/meter.js';
import { contextProblem } from './written.js';

export interface NotEntered {
  readonly problem: Problem;
  readonly until: Until;
}

/** Why the onEnter of a state may not run; null: it may. */
export function whyNotEntered(draft: Draft, name: string, onEnter: OnEnter): NotEntered | null {
  const refused = entryRefusal(draft, name, onEnter);
  if (refused !== null)
    return { problem: { code: 'ON_ENTER_FAILED', message: refused.message }, until: refused.until };
  const full = contextProblem(draft, onEnter, {});
  return full === null ? null : { problem: { code: 'RUN_FULL', message: full }, until: 'never' };
}

/** Why charter or gates keep an onEnter from running: where a gate applies it cannot run, since nobody can be asked on the way into a state. */
function entryRefusal(
  { plan, run, kit, work }: Draft,
  name: string,
  onEnter: OnEnter,
): { readonly message: string; readonly until: Until } | null {
  const step = entryStep(plan, onEnter);
  const rule = blockedBy(plan, { ...step, name, tool: null }, kit);
  if (rule === 'environment')
    return { message: `\`${name}\` is blocked: ${environmentUnknown}`, until: 'policies' };
  if (rule !== null) return { message: `the charter blocks what \`${name}\` does (${rule})`, until: 'never' };
  const at = { ...guardContext(run, null, {}), meter: stepMeter(work) };
  const applying = gatesFor(step, at, kit);
  if (applying === null) return null;
  const asking = [...new Set(applying.asked.map(({ source, rule: text }) => `${source} (${text})`))];
  const isOfEnvironment = applying.asked.every(({ source }) => source === 'environment');
  return {
    message: `an approval is asked for of what \`${name}\` does: ${asking.join(', ')}; make it a transition`,
    until: isOfEnvironment ? 'policies' : 'never',
  };
}
