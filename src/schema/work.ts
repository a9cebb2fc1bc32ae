// A validation may take a limited amount of work, which is counted and not timed: so the same value and schema come to the same
// end everywhere, in the service, in a replay and on paper.

/** Thrown inside a validation that has used up its work. */
class OutOfWork extends Error {
  override readonly name = 'OutOfWork';
}

let left = Infinity;

/** Charges the validation under way, if there is one. */
export function spend(units: number): void {
  left -= units;
  if (left < 0) throw new OutOfWork('the validation takes more work than is allowed');
}

/** Runs `act` with a limit of work. `act` is synchronous, and calls to `withWork` do not nest. Null: the work was not enough. */
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
