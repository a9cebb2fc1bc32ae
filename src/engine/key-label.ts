import type { Draft } from './draft.js';

// What an effect is called in its idempotency key: no two steps of a plan have the same.

/** A transition's own name, and its state's before it where several states have one of that name. */
export function keyLabel({ plan, run }: Pick<Draft, 'plan' | 'run'>, transition: string): string {
  const having = plan.states.filter(({ transitions }) => transitions.some((one) => one.name === transition));
  return having.length > 1 ? `${asciiName(run.state)}/${asciiName(transition)}` : asciiName(transition);
}

export function entryLabel(state: string): string {
  return `onEnter:${asciiName(state)}`;
}

/** The key travels in headers, and `:` and `/` stand between its parts: they are percent-encoded in names, as is another script. */
function asciiName(name: string): string {
  return name.toWellFormed().replace(/[^!-~]+|[%:/]/gu, encodeURIComponent);
}
