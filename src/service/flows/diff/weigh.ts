import type { Tier } from '../../../engine/plan.js';
import { sameJson } from '../../../model/values/canonical.js';

// Orders changes by what they permit: the widest change of the gravest tier first.

export interface PermissionChange {
  readonly effect: 'wider' | 'narrower' | 'other';
  readonly sentence: string;
}

export interface Weighed extends PermissionChange {
  readonly weight: number;
}

const tierWeight: Readonly<Record<Tier | 'none', number>> = {
  irreversible: 40,
  none: 35,
  reversible: 20,
  read_only: 10,
};

export function weigh(
  effect: PermissionChange['effect'],
  tier: Tier | null,
  sentence: string,
  extra = 0,
): Weighed {
  const direction = { wider: 200, other: 100, narrower: 0 }[effect];
  return { effect, sentence, weight: direction + tierWeight[tier ?? 'none'] + extra };
}

export type Note = (effect: PermissionChange['effect'], sentence: string, extra?: number) => void;

/** A change to a lower tier is wider, since a lower tier asks for less. */
export function tierEffect(before: Tier | null, after: Tier | null): PermissionChange['effect'] {
  return tierWeight[after ?? 'none'] < tierWeight[before ?? 'none'] ? 'wider' : 'narrower';
}

/** `other` where both are true, or neither. */
export function effectOf(isWider: boolean, isNarrower: boolean): PermissionChange['effect'] {
  if (isWider === isNarrower) return 'other';
  return isWider ? 'wider' : 'narrower';
}

/** Notes each of `fields` that differs, by its name alone, so that no change goes unmentioned. */
export function noteOthers<T extends object>(
  what: string,
  before: T,
  after: T,
  fields: readonly (keyof T & string)[],
  note: Note,
): void {
  for (const field of fields)
    if (!sameJson(before[field] ?? null, after[field] ?? null))
      note('other', `${what} has another \`${field}\``);
}

/** The items of `from` that are not in `list`, in their order. */
export function itemsNotIn(from: readonly string[], list: readonly string[]): string[] {
  const there = new Set(list);
  return from.filter((item) => !there.has(item));
}
