import type { Tier } from '../../../engine/plan.js';
import { sameJson } from '../../../model/canonical.js';

// Changes by what they permit: the widest of the gravest first.

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

/** A lower tier asks for less: that is the wider one. */
export function tierEffect(one: Tier | null, other: Tier | null): PermissionChange['effect'] {
  return tierWeight[other ?? 'none'] < tierWeight[one ?? 'none'] ? 'wider' : 'narrower';
}

/** Where both are the case, or neither, it is simply another one. */
export function effectOf(isWider: boolean, isNarrower: boolean): PermissionChange['effect'] {
  if (isWider === isNarrower) return 'other';
  return isWider ? 'wider' : 'narrower';
}

/** The named fields that differ, told of by name alone: nothing of a version changes unsaid. */
export function noteOthers<T extends object>(
  what: string,
  one: T,
  other: T,
  fields: readonly (keyof T & string)[],
  note: Note,
): void {
  for (const field of fields)
    if (!sameJson(one[field] ?? null, other[field] ?? null))
      note('other', `${what} has another \`${field}\``);
}

/** In their order: those of one list that the other has not. */
export function missing(from: readonly string[], inList: readonly string[]): string[] {
  const there = new Set(inList);
  return from.filter((one) => !there.has(one));
}
