import { createHash } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { ActivityDeps } from '../../src/activities/deps.js';
import { wakeTime } from '../../src/engine/index.js';
import { canonical } from '../../src/model/values/canonical.js';
import type { Bell } from '../../src/model/message.js';
import { documentOf, stateWithoutValues } from '../../src/store/runs/document.js';
import { getRun, getStep } from '../../src/store/runs/runs.js';
import type { Known, RunInput } from '../../src/workflows/messages.js';
import { runKernel, type LocalKernel, type LocalSurroundings } from '../../testing/kernel.js';

/** Stands for Temporal and its worker, in this process: the API's tests need real runs, not real histories. */
export interface Kernel {
  readonly client: Client;
  /** While true, Temporal does not answer. */
  away: boolean;
  /** While true, no worker is up: what Temporal has taken waits until this is false again. */
  idle: boolean;
  /** While true, a step commits to the store, but its workflow task does not end. */
  held: boolean;
  /** While true, Temporal takes the start of a run, and its answer is lost. */
  lost: boolean;
  /** Lets the approval's time pass. */
  fire(run: string, approval: string): Promise<void>;
  /** Resolves once every run waits for something to arrive. */
  settled(): Promise<void>;
}

interface Started {
  readonly input: RunInput;
  readonly kernel: LocalKernel;
  hasEnded: boolean;
}

export function makeKernel(deps: ActivityDeps): Kernel {
  const runs = new Map<string, Started>();
  const switches = { away: false, idle: false, held: false, lost: false };
  const waiting: (() => void)[] = [];
  const holding: (() => void)[] = [];
  const step: LocalSurroundings['step'] = async (_, go) => {
    const result = await go();
    if (switches.held) await new Promise<void>((resolve) => holding.push(resolve));
    return result;
  };
  const work = (act: () => void): void => {
    if (switches.idle) waiting.push(act);
    else act();
  };
  const begin = (run: string, input: RunInput): void => {
    const started: Started = { input, kernel: runKernel(deps, run, input, { step }), hasEnded: false };
    runs.set(run, started);
    void started.kernel.ended.finally(() => (started.hasEnded = true));
  };
  const begun = new Set<string>();
  const start = (run: string, input: RunInput): void => {
    begun.add(run);
    work(() => begin(run, input));
  };
  const signal = (run: string, name: string, raw: unknown): void =>
    work(() => {
      const { kernel } = runs.get(run) ?? {};
      if (name === 'wake') kernel?.onWake();
      else kernel?.onSignal(name, raw);
    });
  const settled = async (): Promise<void> => {
    for (const { kernel } of runs.values()) await kernel.settled();
  };
  const fire = async (run: string, approval: string): Promise<void> => {
    const started = runs.get(run);
    if (started === undefined) throw new Error(`run \`${run}\` has not begun`);
    await settled();
    const carried = await expire(deps, run, approval);
    begin(run, { ...started.input, carried: { ...carried, dropped: false } });
    runs.get(run)?.kernel.onWake();
    await settled();
  };
  const client = makeClient(switches, { begun, runs, start, signal, settled });
  return {
    client,
    fire,
    settled,
    get away() {
      return switches.away;
    },
    set away(away) {
      switches.away = away;
    },
    get held() {
      return switches.held;
    },
    set held(held) {
      switches.held = held;
      if (!held) for (const release of holding.splice(0)) release();
    },
    get lost() {
      return switches.lost;
    },
    set lost(lost) {
      switches.lost = lost;
    },
    get idle() {
      return switches.idle;
    },
    set idle(idle) {
      switches.idle = idle;
      if (!idle) for (const act of waiting.splice(0)) act();
    },
  };
}

interface Server {
  readonly begun: ReadonlySet<string>;
  readonly runs: ReadonlyMap<string, Started>;
  start(run: string, input: RunInput): void;
  signal(run: string, name: string, raw: unknown): void;
  settled(): Promise<void>;
}

interface StartOptions {
  readonly workflowId: string;
  readonly args: readonly [RunInput];
}

/** The part of Temporal's client that the product uses. */
function makeClient(switches: { readonly away: boolean; readonly lost: boolean }, server: Server): Client {
  const unavailable = (): Error =>
    Object.assign(new Error('unavailable'), { code: 14, details: '', metadata: {} });
  const reach = (): void => {
    if (switches.away) throw unavailable();
  };
  const lose = async (): Promise<void> => {
    if (!switches.lost) return;
    await server.settled();
    throw unavailable();
  };
  const hasEnded = (run: string): boolean => server.runs.get(run)?.hasEnded === true;
  const workflow = {
    start: async (type: string, { workflowId, args: [input] }: StartOptions) => {
      reach();
      if (server.begun.has(workflowId))
        throw new WorkflowExecutionAlreadyStartedError('already started', workflowId, type);
      server.start(workflowId, input);
      await lose();
    },
    signalWithStart: async (
      type: string,
      given: StartOptions & { readonly signal: string; readonly signalArgs: readonly [Bell] },
    ) => {
      const { workflowId: run } = given;
      reach();
      if (hasEnded(run)) throw new WorkflowExecutionAlreadyStartedError('already started', run, type);
      if (!server.begun.has(run)) server.start(run, given.args[0]);
      server.signal(run, given.signal, given.signalArgs[0]);
      await lose();
    },
    getHandle: (run: string) => ({
      signal: async (name: string, raw: unknown) => {
        reach();
        if (!server.begun.has(run) || hasEnded(run))
          throw new WorkflowNotFoundError('workflow not found', run, undefined);
        server.signal(run, name, raw);
      },
      describe: async () => {
        reach();
        if (!server.begun.has(run)) throw new WorkflowNotFoundError('workflow not found', run, undefined);
        const ended = hasEnded(run) ? { closeTime: new Date() } : {};
        return { type: 'run', taskQueue: 'test', runId: run, raw: {}, ...ended };
      },
      fetchHistory: () => Promise.resolve(reach()),
    }),
  };
  const withDeadline = (_at: number, act: () => Promise<unknown>): Promise<unknown> => act();
  return { workflow, withDeadline } as unknown as Client;
}

/** The run after its approval's time has passed, as it goes on in another history. */
async function expire({ pool }: ActivityDeps, run: string, approval: string): Promise<Known> {
  const row = await getRun(pool, run);
  const document = row === null ? null : documentOf(row);
  const step = row === null ? null : await getStep(pool, run, row.rev);
  if (row === null || document === null || step === null) throw new Error(`run \`${run}\` has taken no step`);
  const now = Date.now();
  const over = {
    ...document,
    approvals: document.approvals.map((each) =>
      each.id === approval
        ? {
            ...each,
            timer: now - 1,
            expiresAt: now - 1,
            gates: each.gates.map((gate) => ({ ...gate, expiresAt: now - 1, reminders: [] })),
          }
        : each,
    ),
  };
  const text = canonical(over);
  const digest = `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
  await pool.query('update run set doc = $2, doc_digest = $3 where id = $1', [run, text, digest]);
  const { rev, state, status, version } = row;
  const wakeAt = wakeTime(stateWithoutValues(over));
  return { rev, digest, head: step.head, state, status, version, wakeAt };
}
