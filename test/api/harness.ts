import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDeps } from '../../src/activities/index.js';
import {
  makeAnonymous,
  makeBodyRoom,
  makeMetrics,
  makeServer,
  routes,
  type ApiDeps,
} from '../../src/api/index.js';
import { errorsOf } from '../../src/api/contract/openapi.js';
import { makeFeed, makePolicies } from '../../src/service/index.js';
import { makePayloads, makeServiceChain } from '../../src/audit/index.js';
import {
  loadKeys,
  makeAuthenticator,
  makeSessions,
  isSigningKeyUnopened,
  makeSigningKey,
  makeWebhookKey,
} from '../../src/auth/index.js';
import { makeClient } from '../../src/client/index.js';
import { isUnavailable, listen, makeStoreClock, withTransaction, type Tx } from '../../src/db/index.js';
import { errorTable, type ErrorCode } from '../../src/model/contract/errors.js';
import { problem } from '../../src/model/contract/api-answers.js';
import { ensureDevKeys } from '../../src/processes/settings/dev-keys.js';
import { putSigningKey } from '../../src/store/people/signing-keys.js';
import { makeTestChecker } from '../../testing/checker.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { makeKernel, type Kernel } from './kernel.js';
import { writeFiles } from '../../testing/files.js';

const files: Readonly<Record<string, string>> = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'tools/bank.yaml': `
tools:
  - name: bank.balance
    tier: read_only
    executor: { kind: noop, output: { balance: 7 } }
  - name: bank.pay
    tier: reversible
    inputSchema:
      type: object
      additionalProperties: false
      required: [amount]
      properties: { amount: { type: number }, currency: { type: string, default: EUR } }
    executor: { kind: noop, output: { paid: true } }
  - name: bank.wire
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { amount: { type: number } } }
    executor: { kind: noop, output: { wired: true } }
`,
  'flows/pay.json': JSON.stringify({
    name: 'pay',
    owner: 'team',
    permissions: { read: ['bank.balance'], execute: ['bank.pay'], deny: ['bank.close'] },
    approval_gate: { on: 'amount > 100', approver_role: 'finance.controller' },
  }),
  'flows/form.yaml': `
workflows:
  form:
    owner: team
    inputSchema:
      type: object
      additionalProperties: false
      required: [title]
      properties: { title: { type: string }, copies: { type: integer, default: 1 } }
    initialState: open
    states:
      open:
        transitions:
          finish: { target: done, actor: human }
      done: { terminal: true }
`,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
  readonly text: string;
}

/** The dependencies of the API, without its server. */
export interface Ground {
  readonly keys: Readonly<Record<string, string>>;
  readonly database: Database;
  readonly kernel: Kernel;
  readonly deps: ApiDeps;
  readonly home: string;
  readonly logged: string[];
  /** Closes everything. `server`: closes the server first, while the store is still there. */
  stop(server?: () => Promise<void>): Promise<void>;
}

export interface Harness extends Ground {
  readonly url: string;
  /** Sends a request, and checks the answer against the contract. */
  ask(
    name: string | null,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Writes these policy files, by their paths; other files stay. Resolves once they are in force. */
  load(files: Readonly<Record<string, object>>): Promise<void>;
}

/** Over a real Postgres; the product's own kernel keeps its runs in this process. */
export async function makeGround(change: (deps: ApiDeps) => ApiDeps = (deps) => deps): Promise<Ground> {
  const database = await makeDatabase();
  const home = mkdtempSync(join(tmpdir(), 'countersign-api-'));
  const folder = join(home, 'policies');
  writeFiles(folder, files);
  const { pool } = database;
  const keys = await loadKeys(home, {});
  const chain = makeServiceChain({ pool, kind: 'api' });
  const transaction = <T>(fn: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(pool, fn);
  const { now, stop: stopClock } = await makeStoreClock(pool);
  const policies = makePolicies({ pool, transaction, chain, folder, now, checker: makeTestChecker() });
  const loaded = await policies.start({ kind: 'runtime', id: 'countersign' }, 'trc_boot');
  assert.equal(loaded.status, 'loaded', JSON.stringify(loaded));
  await putSigningKey(pool, { ...keys.signing, sealed: null });
  await ensureDevKeys({ pool, transaction, chain, pepper: keys.pepper, home });
  const payloads = makePayloads({ kek: keys.kek });
  const logged: string[] = [];
  const onInternalError = (what: string, error: unknown): void =>
    void logged.push(`${what}: ${String(error)}`);
  const kernel = makeKernel(makeDeps(pool, payloads, chain, onInternalError));
  const client = await makeClient({
    pool,
    databaseUrl: database.url,
    payloads,
    chain,
    keys,
    temporal: kernel.client,
    forNamespace: () => kernel.client,
    taskQueue: 'test',
    isOurs: () => Promise.resolve(true),
    isWorkedFor: () => Promise.resolve(false),
    workflowBundle: '',
    onLostWorkflow: () => undefined,
    onInternalError,
    now,
  });
  const feed = await makeFeed({
    pool,
    listen: (channels, onNotify) => listen(database.url, channels, onNotify),
  });
  const verifyJwt = () => Promise.resolve({ status: 'refused', reason: 'unknown_issuer' } as const);
  const deps = change({
    pool,
    transaction,
    isUnavailable,
    payloads,
    chain,
    client: { ...client, health: () => Promise.resolve({ temporal: !kernel.away, worker: !kernel.idle }) },
    engines: { isReady: () => Promise.resolve(true), unserved: () => Promise.resolve([]) },
    authenticate: makeAuthenticator({
      pool,
      pepper: keys.pepper,
      verifyJwt,
      policySet: policies.policySet,
      now,
    }),
    pepper: keys.pepper,
    webhookKey: makeWebhookKey(keys.signing).published,
    makeSigningKey: () => makeSigningKey(keys.kek),
    isSigningKeyUnopened: (key) => isSigningKeyUnopened(keys.kek, key),
    sessions: makeSessions(keys.pepper, now),
    answerKey: Buffer.alloc(32, 1),
    policies,
    feed,
    anonymous: makeAnonymous({ chain, now, log: (line) => void logged.push(line) }),
    bodies: makeBodyRoom(),
    metrics: makeMetrics(pool, now),
    references: { env: {}, secretsDirectory: null },
    now,
    log: (line) => void logged.push(line),
    onInternalError,
  });
  const devKeys = JSON.parse(readFileSync(join(home, 'dev-keys.json'), 'utf8')) as Record<string, string>;
  const stop: Ground['stop'] = async (server) => {
    await feed.close();
    await deps.anonymous.close();
    await server?.();
    await client.close();
    await kernel.settled();
    stopClock();
    await database.drop();
    rmSync(home, { recursive: true, force: true });
  };
  return { keys: devKeys, database, kernel, deps, home, logged, stop };
}

/** The whole API. */
export async function startApi(change?: (deps: ApiDeps) => ApiDeps): Promise<Harness> {
  const ground = await makeGround(change);
  const { deps, keys: devKeys } = ground;
  const server = makeServer(deps);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask: Harness['ask'] = async (name, method, path, body, headers = {}) => {
    // Each request without a credential counts as the first of its minute, so that it is recorded and can be found.
    if (name === null || devKeys[name] === undefined) await deps.anonymous.flush();
    const response = await fetch(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(name === null ? {} : { authorization: `Bearer ${devKeys[name] ?? name}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : {
            body:
              typeof body === 'string' || body instanceof Uint8Array
                ? (body as string)
                : JSON.stringify(body),
          }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true && text !== '';
    const answer = {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : null,
      text,
    };
    if (method !== 'HEAD') holdToContract(method, path, answer);
    return answer;
  };
  const load: Harness['load'] = async (more) => {
    for (const [path, document] of Object.entries(more))
      writeFileSync(join(ground.home, 'policies', path), JSON.stringify(document));
    const answer = await ask('admin', 'POST', '/v1/policies/reload', {});
    assert.equal(answer.status, 200, answer.text);
  };
  const stop = (): Promise<void> =>
    ground.stop(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  return { ...ground, url, ask, load, stop };
}

/** Asserts that the contract describes the answer: its status, its media type and its body. */
function holdToContract(method: string, path: string, { status, headers, body, text }: Answer): void {
  assert.ok(!/\n\s+at |node_modules/.test(text), `a stack trace: ${text}`);
  const plain = path.split('?')[0] ?? '';
  const matching = routes.filter(
    (candidate) =>
      candidate.method === method &&
      new RegExp(`^${candidate.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain),
  );
  const route = matching.find((candidate) => !candidate.path.includes('{')) ?? matching[0];
  if (status >= 400 && body !== null && body.api === undefined) {
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    const parsed = problem.safeParse(body);
    assert.ok(parsed.success, `${path}: ${text}`);
    const code = body.code as ErrorCode;
    assert.equal(errorTable[code].status, status, text);
    if (route !== undefined)
      assert.ok(errorsOf(route).includes(code), `${method} ${path} answered ${code}, which it does not name`);
    return;
  }
  if (route === undefined) return;
  const spec = route.answers[status];
  assert.ok(
    spec !== undefined,
    `${method} ${path} answered ${status}, which the contract does not name: ${text}`,
  );
  if (spec.schema === undefined) return;
  const parsed = spec.schema.safeParse(body);
  assert.ok(parsed.success, `${method} ${path}: ${JSON.stringify(parsed.error?.issues)}\n${text}`);
}

export function codes(answer: Answer): [number, string] {
  return [answer.status, answer.body?.code];
}

/** How many runs, messages and payloads the store has: the same before and after what was refused before anything was stored. */
export async function countStored({ database }: Pick<Harness, 'database'>): Promise<unknown> {
  const { rows } = await database.pool.query(
    `select (select count(*) from run) as runs, (select count(*) from message) as messages,
            (select count(*) from payload) as payloads, (select count(*) from payload_key) as keys`,
  );
  return rows[0];
}
