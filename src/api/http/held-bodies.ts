import { problem, type Problem } from '../contract/problem.js';

// How many bytes of request bodies a process holds at a time: from when they come, or are announced, until the request is answered.

/** Of one principal, and of all together. */
const mostOwnBodyBytes = 67_108_864;
const mostBodyBytes = 268_435_456;

/** The room that one request has for its body. */
export interface HeldBody {
  /** Takes room for so many bytes more; null: they have it. */
  readonly take: (bytes: number) => Problem | null;
  /** Gives all of it back. */
  readonly leave: () => void;
}

interface BodyRoom {
  open(principal: string): HeldBody;
}

export function makeBodyRoom({ each, all }: { readonly each: number; readonly all: number }): BodyRoom {
  const held = new Map<string, number>();
  let total = 0;
  const add = (principal: string, bytes: number): void => {
    const own = (held.get(principal) ?? 0) + bytes;
    total += bytes;
    if (own === 0) held.delete(principal);
    else held.set(principal, own);
  };
  return {
    open: (principal) => {
      let taken = 0;
      const take: HeldBody['take'] = (bytes) => {
        if ((held.get(principal) ?? 0) + bytes > each)
          return refuseFull(`requests of \`${principal}\``, each);
        if (total + bytes > all) return refuseFull('requests', all);
        taken += bytes;
        add(principal, bytes);
        return null;
      };
      const leave = (): void => {
        add(principal, -taken);
        taken = 0;
      };
      return { take, leave };
    },
  };
}

function refuseFull(whose: string, most: number): Problem {
  const detail = `with this one, the ${whose} that are not answered yet would have more than ${most} bytes of bodies in this process: nothing of this one is kept, ask again when some are answered`;
  return problem('RATE_LIMITED', detail, { limit: most }, { 'Retry-After': '2' });
}

export const bodyRoom = makeBodyRoom({ each: mostOwnBodyBytes, all: mostBodyBytes });
