// An engine that holds runs at gates: the operations that the benchmark needs of each engine.

export interface WaitingRun {
  readonly id: string;
  /** Resolves when the engine has taken the decision. Rejects when it has not; then it may be called again. */
  decide(): Promise<void>;
}

export type Megabytes = Readonly<Record<string, number>>;

export interface Side {
  readonly name: string;
  /** Describes the engine and how it is used, for a reader of the figures. */
  readonly about: string;
  /** Starts a run, which waits at its gate now or soon (see `parked`). */
  park(): Promise<WaitingRun>;
  /** How many runs are known to have reached their gate since the start. */
  parked(): number;
  /** The process that runs the flows. */
  readonly worker: {
    kill(signal: NodeJS.Signals): Promise<void>;
    /** Resolves when the process says that it works. */
    start(): Promise<void>;
  };
  /** The ids of the processes whose memory and processor time count, by name. */
  processes(): Readonly<Record<string, number>>;
  /** Megabytes on disk, by the name of the server that stores them. */
  stored(): Promise<Megabytes>;
  stop(): Promise<void>;
}
