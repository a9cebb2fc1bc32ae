import { invalid, type Refusal } from './refusal.js';

/** One page of a list. */
export interface Page<Item> {
  readonly kind: 'page';
  readonly data: readonly Item[];
  /** For the next page; null: this is the last. */
  readonly nextCursor: string | null;
}

export function badCursor(): Refusal {
  return invalid('the cursor does not belong to this list', [
    { pointer: '/query/cursor', message: 'take it from `nextCursor`' },
  ]);
}
