import { setTimeout as delay } from 'node:timers/promises';
import type { Say } from '../embedded/process/system.js';

/** A process that runs now. */
export interface Running {
  readonly pid: number;
  /** Resolves with how the process ended, once it has. */
  readonly exited: Promise<string>;
  /** Asks the process to end and waits until it has. */
  stop(): Promise<void>;
}

/** A program that is to run all the time. */
export interface Part {
  readonly name: string;
  readonly port?: number;
  /** Rejects when the program cannot be started. When aborted, it leaves nothing behind. */
  start(signal: AbortSignal): Promise<Running>;
  /** A program that ends with code 0 has done its work and is not started again. */
  readonly mayFinish?: boolean;
  /** Named in the message when the program ends. */
  readonly log?: string;
}

export interface Hooks {
  readonly say: Say;
  /** `pid` is null while the part does not run. */
  onChange(part: Part, pid: number | null): void;
}

export interface Supervised {
  readonly part: Part;
  /** Resolves when the part has started for the first time; rejects when that fails. After later failures it is started again. */
  readonly started: Promise<void>;
  /** How often the part has died since it last ran steadily. */
  deaths(): number;
  /** Replaces the running process by a new one, which does not count as a death. Resolves when the old process has ended. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const steadyMs = 20_000;
const backoffMs = [0, 0, 250, 500, 1_000, 2_000, 4_000, 8_000] as const;

/** Starts a part and starts it again whenever it dies: at once at first, ever later when it keeps dying. */
export function supervise(part: Part, hooks: Hooks): Supervised {
  const stopping = new AbortController();
  const state: SupervisedState = {
    running: null,
    deaths: 0,
    isReplaced: false,
    pause: new AbortController(),
  };
  let loop: Promise<void> = Promise.resolve();
  const started = new Promise<void>((resolve, reject) => {
    loop = keepRunning(part, hooks, stopping.signal, state, { resolve, reject });
  });
  // Nobody has to await it: without this, its rejection would be unhandled.
  started.catch(() => undefined);
  return {
    part,
    started,
    deaths: () => state.deaths,
    async restart() {
      state.isReplaced = true;
      state.deaths = 0;
      state.pause.abort();
      await state.running?.stop();
    },
    async stop() {
      stopping.abort();
      await state.running?.stop();
      await loop;
    },
  };
}

interface SupervisedState {
  running: Running | null;
  deaths: number;
  /** A restart was asked for since the last process was started. */
  isReplaced: boolean;
  /** Ends the wait before the next start. */
  pause: AbortController;
}

interface FirstStart {
  resolve(): void;
  reject(error: unknown): void;
}

async function keepRunning(
  part: Part,
  hooks: Hooks,
  stop: AbortSignal,
  state: SupervisedState,
  first: FirstStart,
): Promise<void> {
  let attempts = 0;
  while (!stop.aborted) {
    const since = Date.now();
    attempts++;
    state.isReplaced = false;
    const outcome = await runOnce(part, hooks, stop, state, first);
    if (stop.aborted) break;
    if (state.isReplaced) continue;
    if (outcome.status === 'failed' && attempts === 1) return first.reject(outcome.error);
    if (part.mayFinish === true && outcome.how === 'code 0') return;
    state.deaths = Date.now() - since > steadyMs ? 1 : state.deaths + 1;
    const wait = backoffMs[Math.min(state.deaths, backoffMs.length) - 1] ?? 0;
    const where = part.log === undefined ? '' : `, see \`${part.log}\``;
    hooks.say(
      `${part.name} ended (${outcome.how})${where}; starting it again${wait === 0 ? '' : ` in ${wait} ms`}`,
    );
    state.pause = new AbortController();
    const until = AbortSignal.any([stop, state.pause.signal]);
    await delay(wait, undefined, { signal: until }).catch(() => undefined);
  }
  first.reject(new Error(`${part.name} was stopped`));
}

type RunEnd =
  | { readonly status: 'ended'; readonly how: string }
  | { readonly status: 'failed'; readonly how: string; readonly error: unknown };

async function runOnce(
  part: Part,
  hooks: Hooks,
  stop: AbortSignal,
  state: SupervisedState,
  first: FirstStart,
): Promise<RunEnd> {
  try {
    const running = await part.start(stop);
    state.running = running;
    if (stop.aborted || state.isReplaced) await running.stop();
    hooks.onChange(part, running.pid);
    first.resolve();
    return { status: 'ended', how: await running.exited };
  } catch (error) {
    return { status: 'failed', how: error instanceof Error ? error.message : String(error), error };
  } finally {
    state.running = null;
    hooks.onChange(part, null);
  }
}
