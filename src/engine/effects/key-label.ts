import type { Draft } from '../run/draft.js';
import type { Plan } from '../plan.js';

// What an effect is called in its idempotency key: no two steps of a plan have the same.

/** Do several states have a transition of that name? */
export function isSharedName({ states }: Pick<Plan, 'states'>, transition: string): boolean {
  const having = states.filter(({ transitions }) => transitions.some(({ name }) => name === transition));
  return having.length > 1;
}

/** A transition's own name, and its state's before it where several states have one of that name. */
export function keyLabel({ plan, run }: Pick<Draft, 'plan' | 'run'>, transition: string): string {
  const own = asciiName(transition);
  return isSharedName(plan, transition) ? `${asciiName(run.state)}/${own}` : own;
}

export function entryLabel(state: string): string {
  return `onEnter:${asciiName(state)}`;
}

/** The same of a key, as its names are written. */
export function labelIn(idempotencyKey: string): string {
  return idempotencyKey.split(':').slice(1, -2).map(decodeURIComponent).join(':');
}

/** The key travels in headers, and `:` and `/` stand between its parts: they are percent-encoded in names, as is another script. */
function asciiName(name: string): string {
  return name.toWellFormed().replace(/[^!-~]+|[%:/]/gu, encodeURIComponent);
}
