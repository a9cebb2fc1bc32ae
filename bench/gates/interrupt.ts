import { constants } from 'node:os';

/** Measuring may take hours. On a signal the benchmark stops what runs, and prints what was measured. */
export interface Interrupt {
  /** The exit status that the signal asks for; null while no signal has come. */
  readonly status: () => number | null;
  /** Resolves as the work does, or rejects when a signal comes first. */
  readonly unless: <T>(work: Promise<T>) => Promise<T>;
}

/** Listens for SIGINT, SIGTERM and SIGHUP. A second signal ends the process at once; its servers and workers end with it. */
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
