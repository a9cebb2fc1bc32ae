import { isIPv6 } from 'node:net';
import { newId } from '../../model/names/ids.js';
import type { ServiceChain, ServiceFact } from '../../audit/index.js';
import type { CallFact } from '../../service/caller.js';

// Anybody may send requests without a credential. The first of each source, kind and minute is recorded as it comes; the
// further ones are counted, and their count is recorded when the minute is over.

/** A call without a principal, as it is recorded or counted. */
export interface AnonymousCall {
  /** The address of the caller. */
  readonly remote: string;
  /** Calls of the same source and kind are counted together. */
  readonly kind: string;
  /** The fact that the count repeats. */
  readonly fact: Pick<CallFact, 'type' | 'data'>;
}

export interface Anonymous {
  /** `first`: the caller records it now, and calls `forget` if that fails. `counted`: it is in the count of its minute. */
  take(call: AnonymousCall): { readonly status: 'first'; forget(): void } | { readonly status: 'counted' };
  /** Records all counts, also of minutes that are not over. What cannot be recorded is kept for the next time. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface AnonymousDeps {
  readonly chain: Pick<ServiceChain, 'append'>;
  readonly now: () => Date;
  readonly log: (line: string) => void;
}

const windowMs = 60_000;
const tickMs = 5_000;
/** Sources and kinds that are told apart in a minute; all further sources are counted together. */
export const mostWindows = 1_000;
const everybodyElse = 'others';

interface Window {
  readonly source: string;
  readonly call: AnonymousCall;
  readonly from: number;
  last: number;
  count: number;
}

export function makeAnonymous({ chain, now, log }: AnonymousDeps): Anonymous {
  const windows = new Map<string, Window>();
  /** Facts that are not durable yet: they are written again, with the same keys, until they are. */
  let unwritten: readonly ServiceFact[] = [];
  let writing: Promise<void> = Promise.resolve();

  const write = async (isOver: (window: Window) => boolean): Promise<void> => {
    if (unwritten.length === 0) {
      const over = [...windows].filter(([, window]) => isOver(window));
      for (const [key] of over) windows.delete(key);
      unwritten = over.filter(([, { count }]) => count > 0).map(([, window]) => countFact(window, now()));
    }
    if (unwritten.length === 0) return;
    await chain.append(unwritten);
    unwritten = [];
  };
  /** One writing at a time; a failure is logged, and the facts stay. */
  const inTurn = (isOver: (window: Window) => boolean): Promise<void> => {
    writing = writing
      .then(() => write(isOver))
      .catch((error: unknown) => {
        log(`the counts of requests without a credential are not recorded yet: ${String(error)}`);
      });
    return writing;
  };
  const timer = setInterval(() => void inTurn((window) => now().getTime() - window.from >= windowMs), tickMs);
  timer.unref();
  const flush = async (): Promise<void> => {
    await inTurn(() => true);
    // The first round may only have written what an earlier failure had kept back.
    await inTurn(() => true);
  };
  return {
    take: (call) => {
      const { key, source } = windowOf(windows, call);
      const at = now().getTime();
      const window = windows.get(key);
      if (window !== undefined) {
        window.count += 1;
        window.last = at;
        return { status: 'counted' };
      }
      windows.set(key, { source, call, from: at, last: at, count: 0 });
      return { status: 'first', forget: () => void windows.delete(key) };
    },
    flush,
    close: async () => {
      clearInterval(timer);
      await flush();
    },
  };
}

function windowOf(
  windows: ReadonlyMap<string, Window>,
  { remote, kind }: AnonymousCall,
): { readonly key: string; readonly source: string } {
  const source = sourceOf(remote);
  const key = `${source} ${kind}`;
  if (windows.has(key) || windows.size < mostWindows) return { key, source };
  return { key: `${everybodyElse} ${kind}`, source: everybodyElse };
}

/** The source of an address. Of IPv6 it is the /64, since a network has as many addresses as it likes. */
export function sourceOf(remote: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remote)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(remote)) return remote;
  const [head = '', tail] = (remote.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

function countFact({ source, call: { fact }, from, last, count }: Window, now: Date): ServiceFact {
  return {
    key: `anonymous:${newId('trc')}`,
    type: fact.type,
    time: now.toISOString(),
    actor: { kind: 'anonymous', id: 'anonymous' },
    data: {
      ...fact.data,
      remote: source,
      count,
      from: new Date(from).toISOString(),
      until: new Date(last).toISOString(),
    },
  };
}
