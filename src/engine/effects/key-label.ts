import { plainDigest, type Draft } from '../run/draft.js';
import type { Plan } from '../plan.js';

// The label of an effect in its idempotency key: no two steps of a plan have the same.

/** Characters. With the run's id, a digest and a count beside it, a key has fewer than the 255 that targets take. */
const mostLabel = 140;
/** Characters of each name of a label that is too long. */
const mostBeginning = 40;
/** It stands in no name, where `/` is percent-encoded. */
const cutMark = '//';

/** Do several states have a transition of that name? */
function isSharedName({ states }: Pick<Plan, 'states'>, transition: string): boolean {
  const having = states.filter(({ transitions }) => transitions.some(({ name }) => name === transition));
  return having.length > 1;
}

/** The name of the transition; where several states have a transition of that name, with the state's name before it. */
export function keyLabel(draft: Pick<Draft, 'plan' | 'run' | 'kit'>, transition: string): string {
  const { plan, run } = draft;
  return labelOf(draft, isSharedName(plan, transition) ? [run.state, transition] : [transition]);
}

export function entryLabel(draft: Pick<Draft, 'kit'>, state: string): string {
  return `onEnter:${labelOf(draft, [state])}`;
}

/** The label in a key, its names as the author wrote them. `…` at its end: it was too long, and only the beginning of a name may be there. */
export function labelIn(idempotencyKey: string): string {
  const label = idempotencyKey.split(':').slice(1, -2).map(decodeURIComponent).join(':');
  return label.replace(/\/\/[0-9a-f]+$/u, '…');
}

/** The names joined; where that is too long, the beginning of each, and a digest of all. */
function labelOf({ kit }: Pick<Draft, 'kit'>, names: readonly string[]): string {
  const whole = names.map(asciiName).join('/');
  if (whole.length <= mostLabel) return whole;
  return `${names.map(beginningOf).join('/')}${cutMark}${plainDigest(kit.digest(whole)).slice(0, 32)}`;
}

/** The beginning ends between two characters of the name, so that `labelIn` can decode it. */
function beginningOf(name: string): string {
  let beginning = '';
  for (const character of name) {
    const longer = beginning + asciiName(character);
    if (longer.length > mostBeginning) break;
    beginning = longer;
  }
  return beginning;
}

/** Keys are sent in headers, and `:` and `/` separate their parts: in names these, `%` and all that is not ASCII are percent-encoded. */
function asciiName(name: string): string {
  return name.toWellFormed().replace(/[^!-~]+|[%:/]/gu, encodeURIComponent);
}
