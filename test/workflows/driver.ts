import assert from 'node:assert/strict';
import type { ExecuteInput, StepInput, StepResult, Stepped } from '../../src/activities/types.js';
import type { Bell } from '../../src/model/message.js';
import { makeKernel, type HistoryEnd, type Kernel } from '../../src/workflows/kernel.js';
import type { Ports } from '../../src/workflows/memory.js';
import { kernelVersion } from '../../src/workflows/versions.js';
import type { Carried } from '../../src/workflows/messages.js';

// The kernel on hands that a test holds: each step, execution and timer ends when and how the test says.

export interface AskedStep {
  readonly input: StepInput;
  readonly give: (result: StepResult) => Promise<void>;
  readonly fail: (error: unknown) => Promise<void>;
}

export interface AskedExecution {
  readonly input: ExecuteInput;
  readonly timeoutMs: number;
  readonly isCancelled: boolean;
  readonly isOver: boolean;
  readonly give: (result: Stepped) => Promise<void>;
  readonly fail: (error: unknown) => Promise<void>;
}

export interface AskedTimer {
  readonly ms: number;
  /** Neither fired nor cancelled. */
  readonly isSet: boolean;
  readonly fire: () => Promise<void>;
}

export interface Driver {
  readonly kernel: Kernel;
  /** Of all steps that were asked for, in their order. */
  readonly steps: readonly AskedStep[];
  readonly executions: readonly AskedExecution[];
  readonly timers: readonly AskedTimer[];
  /** What it came to; null: it goes on. */
  readonly outcome: () => { readonly ended: HistoryEnd } | { readonly error: unknown } | null;
  /** Signals, then everything that the kernel does with them. */
  readonly send: (act: (kernel: Kernel) => void) => Promise<void>;
  readonly setTime: (ms: number) => void;
  readonly setHistory: (length: ReturnType<Ports['historyLength']>) => Promise<void>;
  /** The step under way; fails where there is none. */
  readonly step: () => AskedStep;
  readonly isStepping: () => boolean;
  readonly setTimers: () => readonly AskedTimer[];
}

export const run = 'run_1';
const start = bell('msg_start', 'start');

export function bell(id: string, kind: Bell['kind'] = 'submit'): Bell {
  return { id, kind, digest: `sha256:${id}`, keyId: 'key_1', signature: `signed-${id}` };
}

/** Stands for as many arrivals as the step was given. */
const wholeBatch = -1;

/** What a step leaves behind, where a test says nothing else. */
export function stepped(rev: number, fields: Partial<Stepped> = {}): Stepped {
  return {
    ...{ status: 'stepped', rev, digest: `sha256:doc${rev}`, head: `sha256:head${rev}`, state: 'open' },
    ...{ runStatus: 'running', version: rev, wakeAt: null, execution: null, cancelling: false },
    ...{ given: wholeBatch, left: [], isForked: false },
    ...fields,
  };
}

function deferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}

export interface Beginning {
  readonly carried?: Carried | null;
  readonly ports?: Partial<Ports>;
  readonly version?: number;
}

export async function drive({
  carried = null,
  ports: given = {},
  version = kernelVersion,
}: Beginning = {}): Promise<Driver> {
  const conditions = new Set<() => void>();
  const steps: (AskedStep & { isOver: boolean })[] = [];
  const executions: (AskedExecution & { isCancelled: boolean; isOver: boolean })[] = [];
  const timers: (AskedTimer & { isSet: boolean })[] = [];
  let now = 0;
  let history: ReturnType<Ports['historyLength']> = 'short';
  let outcome: ReturnType<Driver['outcome']> = null;
  /** As Temporal does after each thing that happens: conditions are looked at until nothing moves any more. */
  const settle = async (): Promise<void> => {
    for (let calm = 0; calm < 2; calm += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const look of [...conditions]) look();
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  const ports: Ports = {
    run,
    now: () => now,
    until: (isTrue) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!isTrue()) return;
          conditions.delete(look);
          resolve();
        };
        conditions.add(look);
        look();
      }),
    step: (input) => {
      const { promise, resolve, reject } = deferred<StepResult>();
      const over = (end: () => void) => {
        assert.equal(asked.isOver, false, 'a step ends once');
        asked.isOver = true;
        end();
        return settle();
      };
      const asked = {
        ...{ input, isOver: false },
        give: (result: StepResult) =>
          over(() =>
            resolve(
              result.status === 'stepped' && result.given === wholeBatch
                ? { ...result, given: input.arrivals.length }
                : result,
            ),
          ),
        fail: (error: unknown) => over(() => reject(error)),
      };
      assert.ok(
        steps.every(({ isOver }) => isOver),
        'a step at a time',
      );
      steps.push(asked);
      return promise;
    },
    execute: (input, timeoutMs) => {
      const { promise, resolve, reject } = deferred<Stepped>();
      const over = (end: () => void) => {
        asked.isOver = true;
        end();
        return settle();
      };
      const asked = {
        ...{ input, timeoutMs, isCancelled: false, isOver: false },
        give: (result: Stepped) => over(() => resolve(result)),
        fail: (error: unknown) => over(() => reject(error)),
      };
      executions.push(asked);
      return {
        result: promise,
        cancel: () => {
          asked.isCancelled = true;
        },
      };
    },
    startTimer: (ms, fire) => {
      const timer = {
        ...{ ms, isSet: true },
        fire: () => {
          timer.isSet = false;
          fire();
          return settle();
        },
      };
      timers.push(timer);
      return {
        cancel: () => {
          timer.isSet = false;
        },
      };
    },
    historyLength: () => history,
    ...given,
  };
  const kernel = makeKernel({ kernel: version, start, carried }, ports);
  kernel.runToHistoryEnd().then(
    (ended) => (outcome = { ended }),
    (error: unknown) => (outcome = { error }),
  );
  await settle();
  return {
    ...{ kernel, steps, executions, timers, outcome: () => outcome },
    send: (act) => {
      act(kernel);
      return settle();
    },
    setTime: (ms) => {
      now = ms;
    },
    setHistory: (length) => {
      history = length;
      return settle();
    },
    step: () => {
      const asked = steps.at(-1);
      assert.ok(asked !== undefined && !asked.isOver, 'no step is under way');
      return asked;
    },
    isStepping: () => steps.at(-1)?.isOver === false,
    setTimers: () => timers.filter(({ isSet }) => isSet),
  };
}

/** A run that has taken its start, and waits. */
export async function begun(fields: Partial<Stepped> = {}, beginning: Beginning = {}): Promise<Driver> {
  const driver = await drive(beginning);
  await driver.step().give(stepped(1, fields));
  return driver;
}

/** What a step was asked to take, in words. */
export function taken({ input }: AskedStep): readonly string[] {
  return input.arrivals.map((arrival) => {
    switch (arrival.kind) {
      case 'message':
        return arrival.bell.id;
      case 'garbage':
        return `garbage ${arrival.name}`;
      case 'abandoned':
        return `abandoned ${arrival.action}`;
      default:
        return arrival.kind;
    }
  });
}
