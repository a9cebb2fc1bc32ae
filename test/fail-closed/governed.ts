import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeDeps, type ActivityDeps } from '../../src/activities/deps.js';
import { execute } from '../../src/activities/execute.js';
import { step } from '../../src/activities/step.js';
import type { Arrival, Stepped, StepResult } from '../../src/activities/types.js';
import { makePolicies } from '../../src/api/index.js';
import { makePayloads, makeServiceChain } from '../../src/audit/index.js';
import { loadKeys, signMessage, type ServiceKeys } from '../../src/auth/index.js';
import { recordStart } from '../../src/client/index.js';
import { withTransaction, type Tx } from '../../src/db/index.js';
import type { Answer, RunState } from '../../src/engine/state.js';
import { newId } from '../../src/model/ids.js';
import type { JsonObject } from '../../src/model/json.js';
import type { AttestedMessage, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { putSigningKey } from '../../src/store/signing-keys.js';
import { resolveVersion } from '../../src/store/flows.js';
import { makeDatabase, type Database } from '../support/database.js';

// The hands of a run on a real Postgres, one step at a time: what a test forces lies between two of them.

export interface Governed {
  readonly database: Database;
  readonly deps: ActivityDeps;
  readonly keys: ServiceKeys;
  /** A run of the flow that has taken its start. */
  start(flow: string, input?: JsonObject, deps?: ActivityDeps): Promise<Handle>;
  /** A run whose start is stored and not taken. */
  recordStart(flow: string): Promise<AttestedMessage>;
  stop(): Promise<void>;
}

export interface Handle {
  readonly id: string;
  readonly state: RunState;
  readonly rev: number;
  /** One policy check over what arrives; the run goes on with what it answers. */
  take(...arrivals: readonly Arrival[]): Promise<Stepped>;
  /** The same, and nothing of it is kept by the handle. */
  tryTo(...arrivals: readonly Arrival[]): Promise<StepResult>;
  sign(by: Principal, body: MessageBody): AttestedMessage;
  submit(by: Principal, transition: string, args?: JsonObject): Promise<Stepped>;
  /** Runs what the last step has let run. */
  execute(): Promise<Stepped>;
  /** Types of the records of its own chain, in order, and of the service's records about it. */
  records(): Promise<readonly { readonly type: string; readonly data: JsonObject }[]>;
}

export async function makeGoverned(files: Readonly<Record<string, string>>): Promise<Governed> {
  const database = await makeDatabase();
  const home = mkdtempSync(join(tmpdir(), 'countersign-closed-'));
  const folder = join(home, 'policies');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const { pool } = database;
  const keys = await loadKeys(home, {});
  const chain = makeServiceChain({ pool, kind: 'worker' });
  const transaction = <T>(fn: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(pool, fn);
  const policies = makePolicies({ pool, transaction, chain, folder, now: () => new Date() });
  const loaded = await policies.start({ kind: 'runtime', id: 'test' }, 'trc_boot');
  assert.equal(loaded.status, 'loaded', JSON.stringify(loaded));
  await putSigningKey(pool, { ...keys.signing, sealed: null });
  const payloads = makePayloads({ kek: keys.kek });
  const deps = makeDeps(pool, payloads, chain);
  const record = async (flow: string, input: JsonObject = {}): Promise<AttestedMessage> => {
    const version = await resolveVersion(pool, flow, { version: undefined, environment: undefined });
    assert.ok(version !== null, flow);
    const { planHash, environment } = version;
    const attested = await transaction((tx) =>
      recordStart({ payloads, keys }, tx, {
        ...{ run: newId('run'), flow, flowVersion: version.version, planHash, environment, mode: 'live' },
        ...{ initialState: 'a', input, principal: starter, trace: null, waitMs: 0 },
      }),
    );
    assert.ok(attested !== null);
    return attested;
  };
  return {
    database,
    deps,
    keys,
    recordStart: record,
    start: async (flow, input, hands = deps) => {
      const attested = await record(flow, input);
      const handle = makeHandle(hands, keys, attested.message.run);
      await handle.take({ kind: 'start', raw: attested });
      return handle;
    },
    stop: async () => {
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export const starter: Principal = { id: 'bot', kind: 'agent', roles: [], permissions: ['run.start'] };
export const controller: Principal = {
  ...{ id: 'fay', kind: 'human', permissions: ['approval.decide'] },
  roles: ['finance.controller'],
};

export function makeHandle(deps: ActivityDeps, keys: ServiceKeys, id: string): Handle {
  let state: RunState | null = null;
  let rev = 0;
  let effects: Stepped['effects'] = [];
  const keep = (stepped: Stepped): Stepped => {
    state = { ...(state ?? {}), ...stepped.changed } as RunState;
    ({ rev, effects } = stepped);
    return stepped;
  };
  const tryTo = (...arrivals: readonly Arrival[]): Promise<StepResult> =>
    step(deps, { run: id, rev: rev + 1, state, arrivals: [...arrivals] });
  const take = async (...arrivals: readonly Arrival[]): Promise<Stepped> => {
    const result = await tryTo(...arrivals);
    assert.ok(result.status === 'stepped', JSON.stringify(result));
    return keep(result);
  };
  const sign = (by: Principal, body: MessageBody): AttestedMessage =>
    signMessage(keys, {
      ...{ v: 1, id: newId('msg'), delivery: newId('msg'), run: id },
      ...{ time: new Date().toISOString(), principal: by, body, refs: [] },
    });
  return {
    id,
    get state() {
      assert.ok(state !== null, 'the run has not started');
      return state;
    },
    get rev() {
      return rev;
    },
    take,
    tryTo,
    sign,
    submit: (by, transition, args = {}) => {
      const body = { kind: 'submit', transition, arguments: args, expectedVersion: null } as const;
      return take({ kind: 'message', name: 'submit', raw: sign(by, body) });
    },
    execute: async () => {
      const next = effects.find((one) => one.kind === 'execute');
      assert.ok(next?.kind === 'execute', 'nothing is to be executed');
      const around = { shutdown: new AbortController().signal };
      return keep(await execute(deps, { run: id, action: next.action }, around));
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

export function answersOf({ answers }: Stepped): Answer[] {
  return answers.map((one) => one.answer);
}

/** How many records of the type the run has. */
export async function countRecords(run: Handle, type: string): Promise<number> {
  return (await run.records()).filter((one) => one.type === type).length;
}
