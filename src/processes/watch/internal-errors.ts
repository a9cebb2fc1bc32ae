// Failures of our own code, outside of anybody's request: logged, counted, and survived. A rejected promise of one run does not
// end the process that serves the others. An uncaught exception does, since it is not known what it has left half done. So every
// emitter of `error` gets a listener where it is made, as each answer of the API.

export interface InternalErrors {
  /** Logs it and counts it. */
  readonly note: (what: string, error: unknown) => void;
  /** How many there were since the process began, for `countersign_internal_errors_total`. */
  readonly count: () => number;
}

/** Also takes rejections that nobody awaits: without a listener, Node would end the process. */
export function makeInternalErrors(
  log: (line: string) => void,
  onNote: () => void = () => undefined,
): InternalErrors {
  let count = 0;
  const note = (what: string, error: unknown): void => {
    count += 1;
    log(
      `internal error in ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    onNote();
  };
  process.on('unhandledRejection', (error) => note('a promise that nobody awaited', error));
  return { note, count: () => count };
}

const againMs = 5_000;

/** Writes the count with `add`, one write at a time. A count that could not be written is added to the next write. */
export function makeCountKeeper(add: (count: number) => Promise<void>): () => void {
  let unwritten = 0;
  let writing = false;
  const write = (): void => {
    if (writing || unwritten === 0) return;
    const count = unwritten;
    writing = true;
    unwritten = 0;
    add(count).then(
      () => {
        writing = false;
        write();
      },
      () => {
        writing = false;
        unwritten += count;
        setTimeout(write, againMs).unref();
      },
    );
  };
  return () => {
    unwritten += 1;
    write();
  };
}
