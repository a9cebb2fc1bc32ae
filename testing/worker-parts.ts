import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDeps, type ActivityDeps } from '../src/activities/deps.js';
import { makePayloads, makeServiceChain } from '../src/audit/index.js';
import { loadKeys, type ServiceKeys } from '../src/auth/index.js';
import { recordStart } from './record-start.js';
import { withTransaction, type Tx } from '../src/db/index.js';
import { newId } from '../src/model/names/ids.js';
import type { SealedMessage } from '../src/model/message.js';
import type { Principal } from '../src/model/principal.js';
import type { JsonObject } from '../src/model/values/json.js';
import { makePolicies } from '../src/service/index.js';
import { resolveVersion } from '../src/store/flows/flows.js';
import { putSigningKey } from '../src/store/people/signing-keys.js';
import { makeTestChecker } from './checker.js';
import { makeDatabase, type Database } from './servers/database.js';
import { writeFiles } from './files.js';

/** What a worker's activities need, without a process and without Temporal. Its database is its own; the policies are loaded. */
export interface WorkerParts {
  readonly database: Database;
  readonly deps: ActivityDeps;
  readonly keys: ServiceKeys;
  /** The internal errors that the activities have reported. */
  readonly internalErrors: readonly string[];
  transaction<T>(fn: (tx: Tx) => Promise<T>): Promise<T>;
  /** Stores the start of a run, which no step has taken yet. */
  recordStart(start: NewRun): Promise<SealedMessage>;
  stop(): Promise<void>;
}

interface NewRun {
  readonly flow: string;
  readonly initialState: string;
  readonly by: Principal;
  readonly input?: JsonObject;
}

/** `files`: the policies folder, by path. */
export async function makeWorkerParts(files: Readonly<Record<string, string>>): Promise<WorkerParts> {
  const database = await makeDatabase();
  const home = mkdtempSync(join(tmpdir(), 'countersign-worker-parts-'));
  const folder = join(home, 'policies');
  writeFiles(folder, files);
  const { pool } = database;
  const keys = await loadKeys(home, {});
  const chain = makeServiceChain({ pool, kind: 'worker' });
  const transaction = <T>(fn: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(pool, fn);
  const policies = makePolicies({
    ...{ pool, transaction, chain, folder },
    now: () => new Date(),
    checker: makeTestChecker(),
  });
  const loaded = await policies.start({ kind: 'runtime', id: 'test' }, 'trc_boot');
  assert.equal(loaded.status, 'loaded', JSON.stringify(loaded));
  await putSigningKey(pool, { ...keys.signing, sealed: null });
  const payloads = makePayloads({ kek: keys.kek });
  const internalErrors: string[] = [];
  const deps = makeDeps(pool, payloads, chain, (what, error) => {
    internalErrors.push(`${what}: ${String(error)}`);
  });
  return {
    ...{ database, deps, keys, internalErrors, transaction },
    recordStart: async ({ flow, initialState, by, input = {} }) => {
      const version = await resolveVersion(pool, flow, { version: undefined, environment: undefined });
      assert.ok(version !== null, flow);
      const { planHash, environment } = version;
      const message = await transaction((tx) =>
        recordStart({ payloads, keys }, tx, {
          ...{ run: newId('run'), flow, flowVersion: version.version, planHash, environment, mode: 'live' },
          ...{ initialState, input, principal: by, trace: null, waitMs: 0 },
        }),
      );
      assert.ok(message !== null);
      return message;
    },
    stop: async () => {
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
