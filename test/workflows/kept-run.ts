import assert from 'node:assert/strict';
import type { ActivityDeps } from '../../src/activities/deps.js';
import { verifyChain } from '../../src/audit/index.js';
import { bellOf } from '../../src/auth/index.js';
import { jsonValue, textValue } from '../../src/client/replay/attest.js';
import type { Answer } from '../../src/engine/state.js';
import { newId } from '../../src/model/names/ids.js';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Bell } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { getMessage } from '../../src/store/runs/messages.js';
import { getRun, type RunRow } from '../../src/store/runs/runs.js';
import { storeMessage } from '../../testing/messages.js';
import type { Database } from '../../testing/servers/database.js';
import { runKernel, type LocalKernel } from '../../testing/kernel.js';
import { makeWorkerParts } from '../../testing/worker-parts.js';

// Runs that the product's kernel keeps on the product's hands and a real Postgres, and no Temporal: a test breaks one hand.

export interface Ground {
  readonly database: Database;
  readonly deps: ActivityDeps;
  /** What the hands called internal errors. */
  readonly internalErrors: readonly string[];
  /** Its start is stored, and its kernel goes on `deps`. */
  readonly start: (deps?: ActivityDeps, flow?: string) => Promise<KeptRun>;
  readonly stop: () => Promise<void>;
}

export interface KeptRun {
  readonly id: string;
  readonly kernel: LocalKernel;
  readonly ask: (by: Principal, body: Asked, args?: JsonObject) => Promise<Bell>;
  readonly ring: (...bells: readonly Bell[]) => void;
  readonly answerOf: (bell: Pick<Bell, 'id'>) => Promise<Answer | null>;
  readonly row: () => Promise<RunRow>;
  readonly records: () => Promise<readonly string[]>;
  readonly verify: () => Promise<void>;
}

type Asked = { readonly submit: string } | { readonly operate: 'cancel' | 'retry' };

export const agent: Principal = { id: 'bot', kind: 'agent', roles: [], permissions: ['run.start'] };
export const operator: Principal = { id: 'ops', kind: 'human', roles: [], permissions: ['run.operate'] };

export const policies: Readonly<Record<string, string>> = {
  'roles.yaml': 'version: 1\nroles: { finance.controller: { permissions: [] } }\n',
  'environments.yaml': 'version: 1\nenvironments: { dev: {} }\n',
  'tools/note.yaml': `version: 1
tools:
  - { name: note.read, tier: read_only, executor: { kind: noop, output: { read: true } } }
  - name: note.write
    tier: read_only
    inputSchema: { type: object, properties: { amount: { type: number } } }
    executor: { kind: noop }
`,
  'flows/kept.yaml': `version: 1
workflows:
  kept:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          look: { target: open, tool: note.read }
          poison: { target: open, tool: note.read }
          unstartable: { target: open, tool: note.read }
          ask: { target: open, tool: note.write, gate: { roles: [finance.controller] } }
          finish: { target: done, tool: note.read }
          end: { target: done }
      done: { terminal: true }
`,
  'flows/timed.yaml': `version: 1
workflows:
  timed:
    owner: test
    timeout: 1s
    initialState: open
    states:
      open: { transitions: { end: { target: done } } }
      done: { terminal: true }
`,
  'flows/gated.yaml': `version: 1
workflows:
  gated:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          ask: { target: open, tool: note.write, gate: { queue: clerks, timeout: { after: 6s, action: deny } } }
          end: { target: done }
      done: { terminal: true }
`,
};

export async function makeGround(): Promise<Ground> {
  const {
    database,
    deps: own,
    keys,
    internalErrors,
    transaction,
    recordStart,
    stop,
  } = await makeWorkerParts(policies);
  const { pool } = database;
  const start = async (deps: ActivityDeps = own, flow = 'kept'): Promise<KeptRun> => {
    const message = await recordStart({ flow, initialState: 'open', by: agent });
    const id = message.run;
    const row = async (): Promise<RunRow> => {
      const found = await getRun(pool, id);
      assert.ok(found !== null);
      return found;
    };
    const kernel = runKernel(deps, id, { kernel: 2, start: bellOf(message), carried: null });
    return {
      ...{ id, kernel, row },
      ask: async (by, asked, args = {}) => {
        const submits = 'submit' in asked;
        const { environment } = await row();
        const { message: kept } = await transaction((tx) =>
          storeMessage({ payloads: own.payloads, keys }, tx, {
            ...{ id: newId('msg'), run: id, environment, principal: by },
            body: submits
              ? { kind: 'submit', transition: asked.submit, expectedVersion: null }
              : { kind: asked.operate },
            values: submits ? [jsonValue('args', args)] : [textValue('reason', 'a test')],
          }),
        );
        return bellOf(kept);
      },
      ring: (...bells) => {
        for (const bell of bells) kernel.onSignal(bell.kind, bell);
      },
      answerOf: async ({ id: message }) => (await getMessage(pool, message))?.answer ?? null,
      records: async () => {
        const { rows } = await pool.query<{ type: string }>(
          'select type from audit_record where run = $1 or about = $1 order by seq',
          [id],
        );
        return rows.map(({ type }) => type);
      },
      verify: async () => assert.equal((await verifyChain(pool, id)).ok, true),
    };
  };
  return { database, deps: own, internalErrors, start, stop };
}
