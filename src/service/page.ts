import { invalid, type Refusal } from './refusal.js';

/** A part of a list. */
export interface Page<Item> {
  readonly kind: 'page';
  readonly data: readonly Item[];
  /** For the next part; null: there is none. */
  readonly nextCursor: string | null;
}

export function badCursor(): Refusal {
  return invalid('the cursor is not one of this list', [
    { pointer: '/query/cursor', message: 'take it from `nextCursor`' },
  ]);
}
