// One engine that holds gates: what the benchmark asks of each of them.

export interface WaitingRun {
  readonly id: string;
  /** Resolves when the engine has taken the decision; rejects when it has not, and may be called again. */
  decide(): Promise<void>;
}

export type Megabytes = Readonly<Record<string, number>>;

export interface Side {
  readonly name: string;
  /** What it is, for a reader of the figures. */
  readonly about: string;
  /** Starts a run. It waits at its gate, or will soon: see `parked`. */
  park(): Promise<WaitingRun>;
  /** How many runs are known to have reached their gate since the start. */
  parked(): number;
  /** The process that runs the flows. */
  readonly worker: {
    kill(signal: NodeJS.Signals): Promise<void>;
    /** Resolves when it says that it works. */
    start(): Promise<void>;
  };
  /** Processes whose memory counts, by what they are. */
  processes(): Readonly<Record<string, number>>;
  /** What lies on disk, by what holds it. */
  stored(): Promise<Megabytes>;
  stop(): Promise<void>;
}
