// Limits on what runs at the same time: for each principal, and for all together in this process.

export interface Seat {
  leave(): void;
}

export interface Seats {
  /** The most for one principal, and for all together. */
  readonly each: number;
  readonly all: number;
  /** How many are taken now, by all principals together. */
  taken(): number;
  /** Null: the principal, or the process, has as many as it may have. */
  take(principal: string): Seat | null;
}

export function makeSeats({ each, all }: { readonly each: number; readonly all: number }): Seats {
  const held = new Map<string, number>();
  let total = 0;
  return {
    each,
    all,
    taken: () => total,
    take: (principal) => {
      const own = held.get(principal) ?? 0;
      if (own >= each || total >= all) return null;
      held.set(principal, own + 1);
      total += 1;
      let left = false;
      return {
        leave: () => {
          if (left) return;
          left = true;
          total -= 1;
          const rest = (held.get(principal) ?? 1) - 1;
          if (rest === 0) held.delete(principal);
          else held.set(principal, rest);
        },
      };
    },
  };
}

export type Shared = <T>(key: string, ask: () => Promise<T>) => Promise<T>;

/**
 * Calls of the same key share one `ask`. A call that comes while an `ask` runs does not share it but the next, which begins
 * after it ends: so no answer is older than the call. All calls of one key must want the same type.
 */
export function makeShared(): Shared {
  interface Asking {
    readonly now: Promise<unknown>;
    next: Promise<unknown> | null;
  }
  const asked = new Map<string, Asking>();
  const begin = async <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const now = ask();
    const asking: Asking = { now, next: null };
    asked.set(key, asking);
    try {
      return await now;
    } finally {
      if (asking.next === null) asked.delete(key);
    }
  };
  return <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const asking = asked.get(key);
    if (asking === undefined) return begin(key, ask);
    const after = (): Promise<T> => begin(key, ask);
    asking.next ??= asking.now.then(after, after);
    return asking.next as Promise<T>;
  };
}

export type Turns = <T>(act: () => Promise<T>) => Promise<T>;

/** At most `most` run at once; the others wait in the order in which they came. */
export function makeTurns(most: number): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (act) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await act();
    } finally {
      const next = waiting.shift();
      // The next in line takes over this turn.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

export type FairTurns = <T>(principal: string | null, act: () => Promise<T>) => Promise<T>;

/**
 * At most `all` run at once, and `each` of one principal: a principal that asks for many waits for its own, and delays nobody
 * else's. The principal null is the service itself, which has a share like any other.
 */
export function makeFairTurns({ each, all }: { readonly each: number; readonly all: number }): FairTurns {
  const together = makeTurns(all);
  const shares = new Map<string | null, { readonly turns: Turns; users: number }>();
  return async (principal, act) => {
    const own = shares.get(principal) ?? { turns: makeTurns(each), users: 0 };
    shares.set(principal, own);
    own.users += 1;
    try {
      return await own.turns(() => together(act));
    } finally {
      own.users -= 1;
      if (own.users === 0) shares.delete(principal);
    }
  };
}
