import { principalOf, type Call } from './call.js';
import { authenticate } from './identify.js';
import type { Problem } from './problem.js';

export const longestWaitSeconds = 25;

export interface Patience {
  readonly ms: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** `?wait=25s` says it; else `Prefer: wait=25` (RFC 7240), which is a wish: more than we give is less. */
export function patienceOf(call: Call, wait: number | undefined): Patience {
  if (wait !== undefined) return { ms: wait * 1_000, headers: {} };
  const { prefer } = call.request.headers;
  const asked = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(String(prefer ?? ''))?.[1];
  if (asked === undefined) return { ms: 0, headers: {} };
  const seconds = Math.min(Number(asked), longestWaitSeconds);
  return { ms: seconds * 1_000, headers: { 'Preference-Applied': `wait=${seconds}`, Vary: 'Prefer' } };
}

/**
 * Until `look` finds what is waited for, the time is up, the process stops or nobody listens any more. Whoever waited is
 * authenticated again: what is shown then is for the caller to read anew, with the rights of then.
 */
export async function watchRun(
  call: Call,
  run: string,
  { ms }: Patience,
  look: () => Promise<boolean>,
): Promise<Problem | null> {
  const seat = call.deps.feed.longPolls.take(principalOf(call).id);
  // As many wait as may: this one is answered as things stand.
  if (seat === null) return null;
  const gone = new AbortController();
  const { socket } = call.request;
  const leave = (): void => gone.abort();
  const { closing } = call.deps.feed;
  socket.once('close', leave);
  closing.addEventListener('abort', leave);
  if (closing.aborted || socket.destroyed) leave();
  try {
    await call.deps.client.watch(run, look, { waitMs: ms, signal: gone.signal });
    return await authenticate(call);
  } finally {
    seat.leave();
    socket.off('close', leave);
    closing.removeEventListener('abort', leave);
  }
}
