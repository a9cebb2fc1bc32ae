import { problem, type Problem } from '../../contract/problem.js';

// How many bytes of request bodies a process holds at a time: from when they come until the request is answered.

/** Of one principal, and of all together. */
const mostOwnBodyBytes = 67_108_864;
const mostBodyBytes = 268_435_456;
/** What each principal may have where those of all fill their room, so that decisions and cancels find room whatever others send. */
const mostSpareBytes = 1_048_576;

/** The room that one request has for its body. */
export interface HeldBody {
  /** Takes room for so many bytes more; null: they have it. A problem: they have not, and all that the body had is given back. */
  readonly take: (bytes: number) => Problem | null;
  /** Gives all of it back. */
  readonly leave: () => void;
}

export interface BodyRoom {
  open(principal: string): HeldBody;
}

interface BodyLimits {
  readonly each: number;
  readonly all: number;
  readonly spare: number;
}

const bodyLimits: BodyLimits = { each: mostOwnBodyBytes, all: mostBodyBytes, spare: mostSpareBytes };

export function makeBodyRoom({ each, all, spare } = bodyLimits): BodyRoom {
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
      const leave = (): void => {
        add(principal, -taken);
        taken = 0;
      };
      const take: HeldBody['take'] = (bytes) => {
        const own = (held.get(principal) ?? 0) + bytes;
        const isFull = own > spare && total + bytes > all;
        if (own > each || isFull) {
          leave();
          return own > each ? refuseFull(`requests of \`${principal}\``, each) : refuseFull('requests', all);
        }
        taken += bytes;
        add(principal, bytes);
        return null;
      };
      return { take, leave };
    },
  };
}

function refuseFull(whose: string, most: number): Problem {
  const detail = `with this one, the ${whose} that are not answered yet would have more than ${most} bytes of bodies in this process: nothing of this one is kept, ask again when some are answered`;
  return problem('RATE_LIMITED', detail, { limit: most }, { 'Retry-After': '2' });
}
