import assert from 'node:assert/strict';
import { makeKit } from '../../src/activities/kit.js';
import { currentSigningKey, loadKeys, signMessage, type ServiceKeys } from '../../src/auth/index.js';
import type { Pool } from '../../src/db/index.js';
import { decide } from '../../src/engine/index.js';
import type { RunState } from '../../src/engine/state.js';
import { newId } from '../../src/model/ids.js';
import type { AttestedMessage, Message, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { getPlan } from '../../src/store/flows.js';
import { currentPolicySet } from '../../src/store/policy.js';
import { getRun } from '../../src/store/runs.js';
import type { Stack } from '../support/stack.js';

// Messages that are signed as the service signs them and sent as it sends them, in an order of the test's own, and
// what the engine will make of them.

export interface Ahead {
  sign(run: string, principal: Principal, body: MessageBody): Promise<AttestedMessage>;
  /** Durable in Temporal when it resolves, whether a worker is up or not. */
  signal(attested: AttestedMessage): Promise<void>;
  /** The approval that this submit opens, when the run takes it as its next message but so many. */
  foresee(submit: Message, after: number): Promise<{ readonly approval: string; readonly digest: string }>;
}

export async function lookAhead(stack: Stack, pool: Pool): Promise<Ahead> {
  const keys: ServiceKeys = await loadKeys(stack.home, {});
  return {
    sign: async (run, principal, body) =>
      signMessage(
        { signing: await currentSigningKey(pool, keys) },
        {
          ...{ v: 1, id: newId('msg'), delivery: newId('msg'), run, principal, body, refs: [] },
          time: new Date().toISOString(),
        },
      ),
    signal: async (attested) => {
      const { run, body } = attested.message;
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      const payload = {
        metadata: { encoding: base64('json/plain') },
        data: base64(JSON.stringify(attested)),
      };
      const path = `/api/v1/namespaces/countersign-dev/workflows/${run}/signal/${body.kind}`;
      const response = await fetch(`${stack.temporalHttp}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: { payloads: [payload] } }),
      });
      assert.equal(response.status, 200, await response.text());
    },
    foresee: async (submit, after) => {
      const row = await getRun(pool, submit.run);
      const plan = row === null ? null : await getPlan(pool, row.planHash);
      const set = await currentPolicySet(pool);
      assert.ok(row?.doc && plan !== null && set !== null);
      const kit = makeKit(set, row.environment, { author: null, promoter: null });
      const event = { kind: 'message', time: submit.time, message: submit } as const;
      const state = JSON.parse(row.doc) as RunState;
      const opened = decide(plan, state, event, kit, `s${row.rev + 1}.${after}`).state.approvals.at(-1);
      assert.ok(opened, 'it opens a gate');
      return { approval: opened.id, digest: opened.action.digest };
    },
  };
}
