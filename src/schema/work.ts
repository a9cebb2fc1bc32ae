// Validation takes as much work as is allowed, counted and not timed: the same value and schema end the same way
// everywhere, in the service, in a replay and on paper.

/** Thrown inside a validation that has used up what it may. */
class OutOfWork extends Error {
  override readonly name = 'OutOfWork';
}

let left = Infinity;

/** Of the validation under way, if one is. */
export function spend(units: number): void {
  left -= units;
  if (left < 0) throw new OutOfWork('the validation takes more work than is allowed');
}

/** Synchronous, and not inside another one. Null: there was not enough. */
export function withWork<T>(units: number, act: () => T): { readonly value: T } | null {
  left = units;
  try {
    return { value: act() };
  } catch (error) {
    if (error instanceof OutOfWork) return null;
    throw error;
  } finally {
    left = Infinity;
  }
}
