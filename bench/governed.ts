import assert from 'node:assert/strict';
import { lastingRights } from '../testing/rights.js';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { makePayloads, makeServiceChain } from '../src/audit/index.js';
import { loadKeys } from '../src/auth/index.js';
import { makeClient, type ClientDeps } from '../src/client/index.js';
import type { RunClient, StartRequest, SubmitRequest } from '../src/client/types.js';
import { makePool } from '../src/db/index.js';
import { newId } from '../src/model/names/ids.js';
import type { Principal } from '../src/model/principal.js';
import { getApproval } from '../src/store/approvals/approvals.js';
import { resolveVersion } from '../src/store/flows/flows.js';
import { projectRoot } from '../testing/paths.js';
import type { Stack } from '../testing/servers/stack.js';

// Drives the governed flow with the product's own client, as the API does: a start with the submit that parks at its gate, a
// decision, the effect, the end. Worker and store are the product's.

/** The policies of the benchmark: the flow `bench` has a gate with a role, an effect that does nothing, and the end. */
export const benchPolicies = join(projectRoot, 'bench', 'policies');
export const namespace = 'countersign-dev';

const agent: Principal = { id: 'bench.agent', kind: 'agent', roles: [], permissions: ['run.start'] };
const approver: Principal = {
  id: 'bench.approver',
  kind: 'human',
  roles: ['finance.controller'],
  permissions: ['approval.decide'],
};
const patienceMs = 20_000;

export interface Parked {
  readonly run: string;
  readonly approval: string;
  readonly digest: string;
}

export interface Governed {
  readonly deps: ClientDeps;
  readonly client: RunClient;
  startRequest(): StartRequest;
  submitRequest(run: string): SubmitRequest;
  /** Starts a run with its submit in one request; resolves when its gate is open. */
  park(): Promise<Parked>;
  /** Gives the id of the decision once it is taken or durable. */
  approve(parked: Parked): Promise<string>;
  /** Resolves when the workflow of the run is closed. */
  ended(run: string): Promise<void>;
  close(): Promise<void>;
}

export async function connectGoverned(stack: Stack): Promise<Governed> {
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'bench', max: 12 });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const temporal = new Client({ connection, namespace });
  const keys = await loadKeys(stack.home, {});
  const deps: ClientDeps = {
    pool,
    databaseUrl: stack.databaseUrl,
    payloads: makePayloads({ kek: keys.kek }),
    chain: makeServiceChain({ pool, kind: 'api' }),
    keys,
    temporal,
    forNamespace: () => temporal,
    taskQueue: stack.taskQueue,
    isOurs: () => Promise.resolve(true),
    isWorkedFor: () => Promise.resolve(false),
    workflowBundle: '',
    onLostWorkflow: ({ id }) => assert.fail(`run \`${id}\` has lost its workflow`),
    onInternalError: (what, error) => console.error(what, error),
    now: () => new Date(),
  };
  const client = await makeClient(deps);
  const flow = await resolveVersion(pool, 'bench', {});
  assert.ok(flow, 'the flow `bench` is published');
  const startRequest = (): StartRequest => ({
    ...{ run: newId('run'), flow: flow.name, flowVersion: flow.version, planHash: flow.planHash },
    ...{ initialState: 'open', environment: 'dev', mode: 'live', input: {} },
    ...{ principal: agent, rights: lastingRights, trace: null, waitMs: patienceMs },
  });
  const submitRequest = (run: string): SubmitRequest => ({
    ...{ run, messageId: newId('msg'), transition: 'release', arguments: {}, expectedVersion: null },
    ...{ principal: agent, rights: lastingRights, trace: null, waitMs: patienceMs },
  });
  return {
    ...{ deps, client },
    startRequest,
    submitRequest,
    async park() {
      const request = startRequest();
      const sent = await client.startWithSubmit(request, submitRequest(request.run));
      assert.ok(sent.status === 'answered' && sent.answer.status === 'pending', JSON.stringify(sent));
      const row = await getApproval(pool, sent.answer.approval);
      assert.ok(row, 'the approval is in the store with its answer');
      return { run: request.run, approval: row.id, digest: row.digest };
    },
    async approve(parked) {
      const decisionId = newId('dec');
      const facts = { decision: 'approve', reason: null, principal: approver, via: 'rest' } as const;
      const sent = await client.decide({ ...parked, decisionId, rights: lastingRights, ...facts });
      assert.ok(sent.status !== 'unavailable', JSON.stringify(sent));
      assert.ok(sent.status !== 'answered' || sent.answer.status !== 'refused', JSON.stringify(sent));
      return decisionId;
    },
    ended: async (run) => void (await temporal.workflow.getHandle(run).result()),
    async close() {
      await client.close();
      await connection.close();
      await pool.end();
    },
  };
}
