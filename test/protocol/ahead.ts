import assert from 'node:assert/strict';
import { loadRun } from '../../src/activities/document.js';
import { makeDeps } from '../../src/activities/deps.js';
import { makeKit } from '../../src/activities/kit.js';
import { makePayloads, makeServiceChain } from '../../src/audit/index.js';
import { bellOf, loadKeys } from '../../src/auth/index.js';
import { jsonValue, keep } from '../../src/client/attest.js';
import { withTransaction, type Pool } from '../../src/db/index.js';
import { decide } from '../../src/engine/index.js';
import { newId } from '../../src/model/ids.js';
import type { JsonObject } from '../../src/model/json.js';
import type { Bell, SignedBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { getPlan } from '../../src/store/flows.js';
import { currentPolicySet } from '../../src/store/policy.js';
import { getRun } from '../../src/store/runs.js';
import type { Stack } from '../support/stack.js';

// Messages that are stored and signed as the service does it, rung for in an order of the test's own, and what the engine
// will make of them.

export interface Asked {
  readonly run: string;
  readonly by: Principal;
  readonly body: SignedBody;
  readonly args?: JsonObject;
}

export interface Ahead {
  /** Kept in the store; nothing has rung for it. */
  store(asked: Asked): Promise<Bell>;
  /** Durable in Temporal when it resolves, whether a worker is up or not. */
  ring(run: string, bell: Bell): Promise<void>;
  /** The approval that this submit opens, when the run takes it as its next message but so many. */
  foresee(
    asked: Asked,
    bell: Bell,
    after: number,
  ): Promise<{ readonly approval: string; readonly digest: string }>;
}

export async function lookAhead(stack: Stack, pool: Pool): Promise<Ahead> {
  const keys = await loadKeys(stack.home, {});
  const payloads = makePayloads({ kek: keys.kek });
  const deps = makeDeps(pool, payloads, makeServiceChain({ pool, kind: 'worker' }));
  return {
    store: async ({ run, by, body, args }) => {
      const { message } = await withTransaction(pool, (tx) =>
        keep({ payloads, keys }, tx, {
          ...{ id: newId('msg'), run, environment: 'dev', principal: by, body },
          values: args === undefined ? [] : [jsonValue('args', args)],
        }),
      );
      return bellOf(message);
    },
    ring: async (run, bell) => {
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      const payload = { metadata: { encoding: base64('json/plain') }, data: base64(JSON.stringify(bell)) };
      const path = `/api/v1/namespaces/countersign-dev/workflows/${run}/signal/${bell.kind}`;
      const response = await fetch(`${stack.temporalHttp}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: { payloads: [payload] } }),
      });
      assert.equal(response.status, 200, await response.text());
    },
    foresee: async ({ run, by, body, args = {} }, bell, after) => {
      const row = await getRun(pool, run);
      const plan = row === null ? null : await getPlan(pool, row.planHash);
      const set = await currentPolicySet(pool);
      assert.ok(row !== null && plan !== null && set !== null && body.kind === 'submit');
      const loaded = await withTransaction(pool, (tx) => loadRun(deps, tx, row));
      assert.ok(loaded !== null);
      const kit = makeKit(set, row.environment, { author: null, promoter: null });
      const time = new Date().toISOString();
      const message = { v: 1, id: bell.id, run, principal: by, time, refs: [] } as const;
      const event = {
        kind: 'message',
        time,
        settledAs: null,
        message: { ...message, body: { ...body, arguments: args } },
      } as const;
      const opened = decide(plan, loaded.state, event, kit, `s${row.rev + 1}.${after}`).state.approvals.at(
        -1,
      );
      assert.ok(opened, 'it opens a gate');
      return { approval: opened.id, digest: opened.action.digest };
    },
  };
}
