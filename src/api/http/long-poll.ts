import { whenStopping } from '../../model/when-stopping.js';
import { principalOf, type Call } from './call.js';
import { authenticate } from './identify.js';
import type { Problem } from '../contract/problem.js';
import type { Seat } from '../../service/seats.js';

const longestWaitSeconds = 25;

export interface Patience {
  readonly ms: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** By `?wait=25s`, else by `Prefer: wait=25` (RFC 7240). The latter is a wish, so a longer time is cut to the longest. */
export function patienceOf(call: Call, wait: number | undefined): Patience {
  if (wait !== undefined) return { ms: wait * 1_000, headers: {} };
  const { prefer } = call.request.headers;
  const asked = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(String(prefer ?? ''))?.[1];
  if (asked === undefined) return { ms: 0, headers: {} };
  const seconds = Math.min(Number(asked), longestWaitSeconds);
  return { ms: seconds * 1_000, headers: { 'Preference-Applied': `wait=${seconds}`, Vary: 'Prefer' } };
}

/**
 * Waits until `look` gives true, the time is up, the process stops, or the client has gone. Then the caller is authenticated
 * again, and must read what it shows anew, with the rights of that moment. Null: the call may go on.
 */
export async function watchRun(
  call: Call,
  run: string,
  { ms }: Patience,
  look: () => Promise<boolean>,
): Promise<Problem | null> {
  const seat = takeSeat(call, run);
  // There are as many long polls as allowed: this call is answered at once.
  if (seat === null) return null;
  const gone = new AbortController();
  const { socket } = call.request;
  const leave = (): void => gone.abort();
  const { closing } = call.deps.feed;
  socket.once('close', leave);
  const unlisten = whenStopping(closing, leave);
  if (closing.aborted || socket.destroyed) leave();
  try {
    const key = JSON.stringify([principalOf(call).id, pathOf(call)]);
    const shared = (): Promise<boolean> => call.deps.feed.looks(key, look);
    await call.deps.client.watch(run, shared, { waitMs: ms, signal: gone.signal });
    return await authenticate(call);
  } finally {
    seat.leave();
    socket.off('close', leave);
    unlisten();
  }
}

/** A seat among the principal's long polls, and among those that it may have at this run. Null: there is none left. */
function takeSeat(call: Call, run: string): Seat | null {
  const { longPolls, longPollsOfRun } = call.deps.feed;
  const { id } = principalOf(call);
  const atRun = longPollsOfRun.take(JSON.stringify([id, run]));
  const seat = atRun === null ? null : longPolls.take(id);
  if (seat === null || atRun === null) {
    atRun?.leave();
    return null;
  }
  return {
    leave: () => {
      seat.leave();
      atRun.leave();
    },
  };
}

function pathOf({ request: { url = '' } }: Call): string {
  const at = url.indexOf('?');
  return at === -1 ? url : url.slice(0, at);
}
