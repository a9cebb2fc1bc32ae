import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { ActivityDeps } from '../../src/activities/deps.js';
import { execute } from '../../src/activities/execute.js';
import { step } from '../../src/activities/step.js';
import type { Arrival, Stepped, Taken } from '../../src/activities/types.js';
import { canonical } from '../../src/engine/index.js';
import type { Answer, RunState } from '../../src/engine/state.js';
import type { RunInput } from '../../src/workflows/messages.js';

interface Kept {
  state: RunState | null;
  rev: number;
  readonly answers: Map<string, Answer>;
}

/** What a worker does, in this process and without Temporal: the API's tests need real runs, not real histories. */
export interface Kernel {
  readonly client: Client;
  /** While true, Temporal does not answer. */
  away: boolean;
  /** While true, no worker answers: updates are late. */
  idle: boolean;
  /** While true, what starts a run is taken, and the answer is lost. */
  lost: boolean;
  /** The approval's timer fires, whatever the clock says. */
  fire(run: string, approval: string): Promise<void>;
}

export function makeKernel(deps: ActivityDeps): Kernel {
  const runs = new Map<string, Kept>();
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const next = turn.then(act, act);
    turn = next;
    return next;
  };
  const apply = (kept: Kept, stepped: Stepped): Stepped['effects'] => {
    kept.rev = stepped.rev;
    kept.state = { ...(kept.state ?? {}), ...stepped.changed } as RunState;
    for (const { id, answer } of stepped.answers) kept.answers.set(id, answer);
    return stepped.effects;
  };
  const arrive = async (run: string, arrival: Arrival): Promise<Taken | undefined> => {
    const kept = runs.get(run) ?? { state: null, rev: 0, answers: new Map() };
    runs.set(run, kept);
    const first = await step(deps, { run, rev: kept.rev + 1, state: kept.state, arrivals: [arrival] });
    if (first.status !== 'stepped') throw new Error(`step: ${JSON.stringify(first)}`);
    const effects = [...apply(kept, first)];
    for (let effect = effects.shift(); effect !== undefined; effect = effects.shift()) {
      if (effect.kind !== 'execute') continue;
      const around = { shutdown: new AbortController().signal };
      effects.push(...apply(kept, await execute(deps, { run, action: effect.action }, around)));
    }
    return first.taken[0];
  };
  const kernel: Kernel = {
    ...{ client: {} as Client, away: false, idle: false, lost: false },
    fire: async (run, approval) => {
      const kept = runs.get(run);
      const at = Date.now();
      if (kept?.state) {
        kept.state = brought(kept.state, approval, at);
        await deps.pool.query('update run set doc = $2 where id = $1', [run, canonical(kept.state)]);
      }
      await inTurn(() => arrive(run, { kind: 'deadline', approval, at }));
    },
  };
  const unavailable = (): Error =>
    Object.assign(new Error('unavailable'), { code: 14, details: '', metadata: {} });
  const lose = (): void => {
    if (kernel.lost) throw unavailable();
  };
  const reach = (): void => {
    if (kernel.away) throw unavailable();
    if (kernel.idle) throw Object.assign(new Error('deadline'), { code: 4, details: '', metadata: {} });
  };
  const known = (run: string): void => {
    if (!runs.has(run)) throw new WorkflowNotFoundError('workflow not found', run, undefined);
  };
  interface Update {
    readonly updateId: string;
    readonly args: [unknown];
  }
  const update = async (run: string, name: string, { updateId, args: [raw] }: Update): Promise<unknown> => {
    reach();
    known(run);
    const taken = await inTurn(() => arrive(run, { kind: 'message', name, raw }));
    if (taken?.kind === 'refused') return { status: 'message_refused', reason: taken.reason };
    return runs.get(run)?.answers.get(updateId);
  };
  interface Start {
    readonly workflowId: string;
    readonly args: readonly [RunInput];
  }
  const workflow = {
    start: async (_name: string, { workflowId, args: [input] }: Start) => {
      reach();
      await inTurn(() => arrive(workflowId, { kind: 'start', raw: input.start }));
      lose();
    },
    executeUpdateWithStart: async (
      name: string,
      given: Update & { readonly startWorkflowOperation: { readonly options: Start } },
    ) => {
      const { options } = given.startWorkflowOperation;
      reach();
      await inTurn(() => arrive(options.workflowId, { kind: 'start', raw: options.args[0].start }));
      const answer = await update(options.workflowId, name, given);
      lose();
      return answer;
    },
    getHandle: (run: string) => ({
      executeUpdate: (name: string, given: Update) => update(run, name, given),
      signal: async (name: string, raw: unknown) => {
        if (kernel.away) reach();
        known(run);
        if (!kernel.idle) await inTurn(() => arrive(run, { kind: 'message', name, raw }));
      },
      fetchHistory: () => Promise.resolve(reach()),
    }),
  };
  Object.assign(kernel.client, {
    workflow,
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
  });
  return kernel;
}

/** As if the present stage of this approval's gates had been over by now: no test waits for an hour. */
function brought(state: RunState, id: string, at: number): RunState {
  const approvals = state.approvals.map((one) =>
    one.id === id ? { ...one, timer: at, gates: one.gates.map((gate) => ({ ...gate, expiresAt: at })) } : one,
  );
  return { ...state, approvals };
}
