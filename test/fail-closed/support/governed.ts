import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/activity';
import type { ActivityDeps } from '../../../src/activities/deps.js';
import { loadRun } from '../../../src/activities/step/document.js';
import { attemptFailed, execute } from '../../../src/activities/execute/execute.js';
import type { Surroundings } from '../../../src/activities/retry-while-unavailable.js';
import { step } from '../../../src/activities/step/step.js';
import type { Arrival, ExecuteInput, Stepped, StepInput, StepResult } from '../../../src/activities/types.js';
import { bellOf, sealMessage, type ServiceKeys } from '../../../src/auth/index.js';
import { jsonValue, textValue, type Value } from '../../../src/client/replay/attest.js';
import { withTransaction } from '../../../src/db/index.js';
import type { Answer, RunState } from '../../../src/engine/state.js';
import { newId } from '../../../src/model/names/ids.js';
import type { JsonObject } from '../../../src/model/values/json.js';
import type { SealedMessage, SignedBody, SignedMessage } from '../../../src/model/message.js';
import type { Principal } from '../../../src/model/principal.js';
import { getMessage, insertMessage } from '../../../src/store/runs/messages.js';
import { getRun, type RunRow } from '../../../src/store/runs/runs.js';
import { storeMessage } from '../../../testing/messages.js';
import type { Database } from '../../../testing/servers/database.js';
import { makeWorkerParts } from '../../../testing/worker-parts.js';

// The hands of a run on a real Postgres, one step at a time: what a test forces lies between two of them.

export interface Governed {
  readonly database: Database;
  readonly deps: ActivityDeps;
  readonly keys: ServiceKeys;
  /** What its hands called internal errors. */
  readonly internalErrors: readonly string[];
  /** A run of the flow that has taken its start. */
  start(flow: string, input?: JsonObject, deps?: ActivityDeps): Promise<Handle>;
  /** A run whose start is stored and not taken. */
  recordStart(flow: string, input?: JsonObject): Promise<SealedMessage>;
  /** The run as its own hands take it. */
  handle(run: string): Handle;
  stop(): Promise<void>;
}

export interface Handle {
  readonly id: string;
  /** As the last step left it, with the values of callers. */
  readonly state: RunState;
  readonly rev: number;
  /** One policy check over what arrives; the run goes on with what it comes to. */
  take(...arrivals: readonly Arrival[]): Promise<Stepped>;
  /** The same, and the handle keeps nothing of it. */
  tryTo(...arrivals: readonly Arrival[]): Promise<StepResult>;
  /** The step that `tryTo` would take, otherwise asked. */
  tryStep(change: Partial<StepInput>): Promise<StepResult>;
  /** Kept by the store, as the API keeps what it is asked; not rung for. */
  ask(by: Principal, body: SignedBody, values?: readonly Value[]): Promise<SealedMessage>;
  submit(by: Principal, transition: string, args?: JsonObject): Promise<Answer | null>;
  decide(by: Principal, approval: string, decision: 'approve' | 'deny'): Promise<Answer | null>;
  answerTo(message: Pick<SealedMessage, 'id'>): Promise<Answer | null>;
  /** Runs what the last step has let run, as often as it is tried at once. Gives what the last who asked was answered. */
  execute(): Promise<Answer | null>;
  row(): Promise<RunRow>;
  /** The records of its own chain, in order, and the service's records about it. */
  records(): Promise<readonly { readonly type: string; readonly data: JsonObject }[]>;
}

export async function makeGoverned(files: Readonly<Record<string, string>>): Promise<Governed> {
  const { database, deps, keys, internalErrors, recordStart, stop } = await makeWorkerParts(files);
  const record = (flow: string, input: JsonObject = {}): Promise<SealedMessage> =>
    recordStart({ flow, initialState: 'a', by: starter, input });
  return {
    ...{ database, deps, keys, internalErrors, recordStart: record, stop },
    handle: (run) => makeHandle(deps, keys, run),
    start: async (flow, input, hands = deps) => {
      const sealed = await record(flow, input);
      const run = makeHandle(hands, keys, sealed.run);
      await run.take(bell(sealed));
      return run;
    },
  };
}

export const starter: Principal = { id: 'bot', kind: 'agent', roles: [], permissions: ['run.start'] };
export const controller: Principal = {
  ...{ id: 'fay', kind: 'human', permissions: ['approval.decide'] },
  roles: ['finance.controller'],
};
export const operator: Principal = { id: 'ops', kind: 'human', roles: [], permissions: ['run.operate'] };

/** What a signal for the message is to its run. */
export function bell(sealed: SealedMessage): Extract<Arrival, { kind: 'message' }> {
  return { kind: 'message', bell: bellOf(sealed) };
}

/** What was signed, as it can be read. */
export function contentOf({ text }: SealedMessage): SignedMessage {
  return JSON.parse(text) as SignedMessage;
}

/** Stored as it is, whoever signed it. */
export async function store({ deps }: Pick<Governed, 'deps'>, message: SealedMessage): Promise<void> {
  assert.ok(await withTransaction(deps.pool, (tx) => insertMessage(tx, { message, bytes: 0 })));
}

/** A message that says what the given one does, but for the change, signed anew and not stored. */
export function resealed(
  keys: Pick<ServiceKeys, 'signing'>,
  sealed: SealedMessage,
  change: Partial<SignedMessage>,
): SealedMessage {
  return sealMessage(keys, { ...contentOf(sealed), ...change });
}

export function makeHandle(deps: ActivityDeps, keys: ServiceKeys, id: string): Handle {
  let state: RunState | null = null;
  let last: Stepped | null = null;
  let asked: SealedMessage | null = null;
  const row = async (): Promise<RunRow> => {
    const found = await getRun(deps.pool, id);
    assert.ok(found !== null, `no run \`${id}\``);
    return found;
  };
  const goOn = async (stepped: Stepped): Promise<Stepped> => {
    last = stepped;
    const found = await row();
    const loaded = await withTransaction(deps.pool, (tx) => loadRun(deps, tx, found));
    state = loaded?.state ?? null;
    return stepped;
  };
  const inputOf = (arrivals: readonly Arrival[]): StepInput => ({
    ...{ run: id, rev: (last?.rev ?? 0) + 1, builtOn: last?.digest ?? null, gaveUp: null },
    arrivals,
  });
  const tryTo: Handle['tryTo'] = (...arrivals) => step(deps, inputOf(arrivals));
  const take: Handle['take'] = async (...arrivals) => {
    const result = await tryTo(...arrivals);
    assert.ok(result.status === 'stepped', JSON.stringify(result));
    return goOn(result);
  };
  const ask: Handle['ask'] = async (by, body, values = []) => {
    const { environment } = await row();
    const given = { id: newId('msg'), run: id, environment, principal: by, body, values };
    const { message } = await withTransaction(deps.pool, (tx) =>
      storeMessage({ payloads: deps.payloads, keys }, tx, given),
    );
    asked = message;
    return message;
  };
  const answerTo: Handle['answerTo'] = async (message) =>
    (await getMessage(deps.pool, message.id))?.answer ?? null;
  const askFor = async (
    by: Principal,
    body: SignedBody,
    values: readonly Value[],
  ): Promise<Answer | null> => {
    const message = await ask(by, body, values);
    await take(bell(message));
    return answerTo(message);
  };
  return {
    id,
    get state() {
      assert.ok(state !== null, 'the run has not started');
      return state;
    },
    get rev() {
      return last?.rev ?? 0;
    },
    ...{ take, tryTo, ask, answerTo, row },
    tryStep: (change) => step(deps, { ...inputOf([]), ...change }),
    submit: (by, transition, args = {}) =>
      askFor(by, { kind: 'submit', transition, expectedVersion: null }, [jsonValue('args', args)]),
    decide: async (by, approval, decision) => {
      const digest = state?.approvals.find((each) => each.id === approval)?.action.digest ?? '';
      const reason = textValue('reason', 'seen');
      return askFor(by, { kind: 'decide', approval, decision, digest, reasonGiven: true }, [reason]);
    },
    execute: async () => {
      const action = last?.execution?.action;
      assert.ok(action !== undefined, 'nothing is to be executed');
      await goOn(await attempts(deps, { run: id, action }));
      return asked === null ? null : answerTo(asked);
    },
    records: async () => {
      const { rows } = await deps.pool.query<{ body: Buffer }>(
        'select body from audit_record where run = $1 or about = $1 order by seq',
        [id],
      );
      return rows.map(({ body }) => JSON.parse(body.toString('utf8')) as { type: string; data: JsonObject });
    },
  };
}

/** What an activity gives to its execution: another owner is another activity. The store hears nothing of its process. */
export function aroundExecution(owner = 'test', process = 'nobody'): Surroundings {
  const shutdown = new AbortController().signal;
  return { owner, process, tries: 1, shutdown, allow: () => undefined, isLate: () => false };
}

/** As Temporal does it: another try for each attempt that follows at once. Rejects where one is to be waited for. */
async function attempts(deps: ActivityDeps, input: ExecuteInput): Promise<Stepped> {
  for (;;) {
    try {
      return await execute(deps, input, aroundExecution());
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.type !== attemptFailed) throw error;
      if (error.nextRetryDelay !== 1) throw error;
    }
  }
}

/** How many records of the type the run has. */
export async function countRecords(run: Handle, type: string): Promise<number> {
  return (await run.records()).filter((one) => one.type === type).length;
}

/** Why messages of the run were refused, in order. */
export async function refusals(run: Handle): Promise<readonly unknown[]> {
  return (await run.records()).flatMap(({ type, data }) =>
    type === 'message.refused' ? [data['reason']] : [],
  );
}
