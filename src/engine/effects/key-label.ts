import { plainDigest, type Draft } from '../run/draft.js';
import type { Plan } from '../plan.js';

// What an effect is called in its idempotency key: no two steps of a plan have the same.

/** Characters. With the run's id, a digest and a count beside it, a key has fewer than the 255 that targets take. */
const mostLabel = 140;
/** Characters of each name of a label that is too long. */
const mostBeginning = 40;
/** Stands in no name: it is percent-encoded there. */
const cutMark = '//';

/** Do several states have a transition of that name? */
function isSharedName({ states }: Pick<Plan, 'states'>, transition: string): boolean {
  const having = states.filter(({ transitions }) => transitions.some(({ name }) => name === transition));
  return having.length > 1;
}

/** A transition's own name, and its state's before it where several states have one of that name. */
export function keyLabel(draft: Pick<Draft, 'plan' | 'run' | 'kit'>, transition: string): string {
  const { plan, run } = draft;
  return labelOf(draft, isSharedName(plan, transition) ? [run.state, transition] : [transition]);
}

export function entryLabel(draft: Pick<Draft, 'kit'>, state: string): string {
  return `onEnter:${labelOf(draft, [state])}`;
}

/** The same of a key, as its names are written: as much of them as stands in it. */
export function labelIn(idempotencyKey: string): string {
  const label = idempotencyKey.split(':').slice(1, -2).map(decodeURIComponent).join(':');
  return label.replace(/\/\/[0-9a-f]+$/u, '…');
}

/** The names, or where they are too long their beginnings and a digest of them all. */
function labelOf({ kit }: Pick<Draft, 'kit'>, names: readonly string[]): string {
  const whole = names.map(asciiName).join('/');
  if (whole.length <= mostLabel) return whole;
  return `${names.map(beginningOf).join('/')}${cutMark}${plainDigest(kit.digest(whole)).slice(0, 32)}`;
}

/** Ends between two characters of the name, so that it can be read back. */
function beginningOf(name: string): string {
  let beginning = '';
  for (const character of name) {
    const longer = beginning + asciiName(character);
    if (longer.length > mostBeginning) break;
    beginning = longer;
  }
  return beginning;
}

/** The key travels in headers, and `:` and `/` stand between its parts: they are percent-encoded in names, as is another script. */
function asciiName(name: string): string {
  return name.toWellFormed().replace(/[^!-~]+|[%:/]/gu, encodeURIComponent);
}
