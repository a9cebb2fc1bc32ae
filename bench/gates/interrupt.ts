import { constants } from 'node:os';

/** Hours of measuring may be cut short: what runs is stopped in order, and what was measured is printed. */
export interface Interrupt {
  /** The exit status that the signal asks for; null while none has come. */
  readonly status: () => number | null;
  /** The same work, or the interruption if that comes first. */
  readonly unless: <T>(work: Promise<T>) => Promise<T>;
}

/** SIGINT, SIGTERM and SIGHUP. The second one ends the process at once; its servers and workers end with it. */
export function listenForInterrupt(): Interrupt {
  let status: number | null = null;
  let interrupt = (_: Error): void => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  interrupted.catch(() => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (status !== null) process.exit(status);
      status = 128 + constants.signals[signal];
      interrupt(new Error(`interrupted by ${signal}`));
    });
  return {
    status: () => status,
    unless: (work) => Promise.race([work, interrupted]),
  };
}
