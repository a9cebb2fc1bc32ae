// How many of something that lasts may be open at once, for one principal and in this process.

export interface Seat {
  leave(): void;
}

export interface Seats {
  readonly each: number;
  readonly all: number;
  /** By all principals together. */
  taken(): number;
  /** Null: the principal, or the process, has as many as it may. */
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
 * Who asks the same while it is being asked shares the asking after that one: it begins later than each of its askers, so
 * what it finds is never older than their question. All that have one key must want one type.
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

/** At most `most` at once; the others wait in the order in which they came. */
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
      // Whoever is next takes over this turn.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

export type FairTurns = <T>(principal: string | null, act: () => Promise<T>) => Promise<T>;

/**
 * At most `all` at once, and `each` of one principal: whoever asks for many waits for their own, and holds up nobody else's.
 * Null: the service itself, which has a share like any other.
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
