import type { OnEnter } from './plan.js';
import type { Problem } from './state.js';
import type { Draft } from './draft.js';
import { entryStep, environmentUnknown, gatesFor } from './gates.js';
import { blockedBy, guardContext } from './links.js';
import { contextProblem } from './written.js';

/** Null: what a state does on its way in may run. */
export function whyNotEntered(draft: Draft, name: string, onEnter: OnEnter): Problem | null {
  const refused = refusal(draft, name, onEnter);
  if (refused !== null) return { code: 'ON_ENTER_FAILED', message: refused };
  const full = contextProblem(draft, onEnter, {});
  return full === null ? null : { code: 'RUN_FULL', message: full };
}

/** What charter and gates say of it, as of a transition; nobody can be asked on the way into a state. */
function refusal({ plan, run, kit }: Draft, name: string, onEnter: OnEnter): string | null {
  const step = entryStep(plan, onEnter);
  const rule = blockedBy(plan, { ...step, name, tool: null }, kit);
  if (rule === 'environment') return `\`${name}\` is blocked: ${environmentUnknown}`;
  if (rule !== null) return `the charter blocks what \`${name}\` does (${rule})`;
  const applying = gatesFor(step, guardContext(run, null, {}), kit);
  if (applying === null) return null;
  const asking = [...new Set(applying.asked.map(({ source, rule: text }) => `${source} (${text})`))];
  return `an approval is asked for of what \`${name}\` does: ${asking.join(', ')}; make it a transition`;
}
