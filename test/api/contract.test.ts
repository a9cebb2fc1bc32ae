import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeMetrics, routes } from '../../src/api/index.js';
import { openApi } from '../../src/api/contract/openapi.js';
import { makePool } from '../../src/db/index.js';
import { freePort } from '../../src/embedded/process/ports.js';
import { codes, startApi, type Harness } from './harness.js';

/** The list of docs/spec/api.md without checkpoint, proof and tile, which come with the global log. */
const contract = `
POST /v1/flows
POST /v1/flows/check
GET /v1/flows
GET /v1/flows/{name}
GET /v1/flows/{name}/versions/{version}
POST /v1/flows/{name}/withdraw
POST /v1/policies/reload
GET /v1/flows/{name}/diff
POST /v1/flows/{name}/runs
GET /v1/runs
GET /v1/runs/{id}
POST /v1/runs/{id}/transitions/{transition}
GET /v1/actions/{id}
POST /v1/runs/{id}/cancel
POST /v1/runs/{id}/retry
GET /v1/approvals
GET /v1/approvals/{id}
POST /v1/approvals/{id}/decision
GET /v1/decisions/{id}
GET /v1/runs/{id}/audit
GET /v1/audit
GET /v1/audit/entries/{index}
GET /v1/runs/{id}/reconstruction
GET /v1/runs/{id}/history
POST /v1/runs/{id}/replay
GET /v1/whoami
POST /v1/keys
GET /v1/keys
DELETE /v1/keys/{keyId}
GET /v1/events
GET /livez
GET /readyz
GET /metrics
GET /openapi.json
GET /docs
`.trim();

/** What docs/approvals.md adds for the inbox. */
const inbox = `
POST /v1/approvals/batch
GET /v1/approvals/stats
GET /v1/approvals/views
GET /v1/approvals/views/{name}
PUT /v1/approvals/views/{name}
DELETE /v1/approvals/views/{name}
POST /v1/approvals/{id}/claim
POST /v1/approvals/{id}/release
POST /v1/approvals/{id}/delegate
GET /v1/absences
PUT /v1/absences
DELETE /v1/absences
GET /v1/notifications/key
`.trim();

/** Keys that the service signs with: docs/approvals.md. */
const signing = `
GET /v1/signing-keys
POST /v1/signing-keys
POST /v1/signing-keys/{keyId}/retire
`.trim();

/** Links, and the pages behind them. */
const pages = `
POST /v1/approvals/{id}/links
GET /v1/approvals/{id}/links
DELETE /v1/approvals/{id}/links/{link}
GET /links/{token}
POST /links/{token}
GET /approvals/{id}
POST /approvals/{id}
GET /sign-in
POST /sign-in
POST /sign-out
`.trim();

/** The address to which Slack's buttons and windows send. */
const slack = 'POST /slack/interactions';

describe('the contract', () => {
  it('has every call of docs/spec/api.md, and no other', () => {
    const offered = routes.map((route) => `${route.method} ${route.path}`).sort();
    assert.deepEqual(
      offered,
      [contract, inbox, signing, pages, slack].flatMap((list) => list.split('\n')).sort(),
    );
  });

  it('takes an Idempotency-Key on every call that creates or decides', () => {
    const kept = routes
      .filter((route) => route.idempotent)
      .map((route) => route.id)
      .sort();
    assert.deepEqual(kept, [
      'cancelRun',
      'createKey',
      'decideApproval',
      'decideBatch',
      'publishFlow',
      'retryRun',
      'rotateSigningKey',
      'startRun',
      'submitTransition',
      'withdrawFlow',
    ]);
    // No GET ever decides or creates anything.
    assert.ok(
      routes
        .filter((route) => route.method === 'GET')
        .every((route) => route.body.kind === 'none' && !route.idempotent),
    );
  });

  it('is described by an OpenAPI document whose every reference leads somewhere', () => {
    const document = openApi(routes) as unknown as Document;
    assert.equal(document.openapi, '3.1.0');
    const text = JSON.stringify(document);
    const names = new Set(Object.keys(document.components.schemas));
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
      assert.ok(names.has(name ?? ''), name);
    assert.ok(!text.includes('"$id"') && !text.includes('#/$defs'));
    const operations = routes.map((route) => document.paths[route.path]?.[route.method.toLowerCase()]);
    assert.equal(new Set(operations.map((operation) => operation?.operationId)).size, routes.length);
    for (const [index, route] of routes.entries()) {
      const named = [...route.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
      const path = operations[index]?.parameters.filter((each) => each.in === 'path') ?? [];
      assert.deepEqual(
        path.map((each) => each.name),
        named,
        route.path,
      );
      assert.ok(path.every((each) => each.required));
    }
    const decide = document.components.schemas['Decide'];
    assert.deepEqual([decide?.required, decide?.additionalProperties], [['decision'], false]);
  });
});

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { operationId: string; parameters: { in: string; name: string; required: boolean }[] }>
  >;
  readonly components: {
    readonly schemas: Record<string, { required?: string[]; additionalProperties?: boolean }>;
  };
}

describe('flows, keys and operation', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  const agent = { name: 'orders', owner: 'team', permissions: { read: ['bank.balance'] } };
  const publish = (body: unknown, headers = {}) => api.ask('admin', 'POST', '/v1/flows', body, headers);

  it('publishes JSON and YAML, the same content once', async () => {
    const first = await publish(agent);
    assert.deepEqual([first.status, first.body.version], [201, 1], first.text);
    assert.deepEqual(
      [
        (await publish(JSON.stringify(agent, null, 2))).status,
        (await publish({ ...agent, version: 1 })).status,
      ],
      [200, 200],
    );
    const yaml = 'name: orders\nowner: team\npermissions: { read: [bank.balance], execute: [bank.pay] }\n';
    const second = await publish(yaml, { 'content-type': 'application/yaml' });
    assert.deepEqual([second.status, second.body.version], [201, 2], second.text);
    const flow = await api.ask('agent', 'GET', '/v1/flows/orders');
    assert.deepEqual(
      flow.body.versions.map((version: { version: number }) => version.version),
      [2, 1],
    );
    const version = await api.ask('agent', 'GET', '/v1/flows/orders/versions/2');
    assert.ok(version.body.graph.nodes.length >= 2);
    assert.equal(version.body.source, yaml);
    const diff = await api.ask('agent', 'GET', '/v1/flows/orders/diff?from=1&to=2');
    assert.equal(diff.body.permissions[0].effect, 'wider');
    assert.match(JSON.stringify(diff.body.permissions), /`bank.pay`/);
    assert.ok(diff.body.structural.length > 0);
    assert.deepEqual(codes(await api.ask('agent', 'GET', '/v1/flows/orders/diff?from=1&to=9')), [
      404,
      'NOT_FOUND',
    ]);
  });

  it('says where a flow is wrong, also when it does not parse', async () => {
    const wrong = await publish({ ...agent, gaurds: [] });
    assert.deepEqual(codes(wrong), [422, 'FLOW_INVALID']);
    assert.equal(wrong.body.errors[0].path, '/gaurds');
    assert.deepEqual(codes(await publish('{"name":')), [422, 'FLOW_INVALID']);
    assert.deepEqual(codes(await publish(Buffer.from([0xff, 0xfe]))), [422, 'FLOW_INVALID']);
    assert.deepEqual(codes(await publish('')), [422, 'FLOW_INVALID']);
    assert.deepEqual(codes(await publish('a: "\\ud800"', { 'content-type': 'application/yaml' })), [
      422,
      'FLOW_INVALID',
    ]);
    const checked = await api.ask('agent', 'POST', '/v1/flows/check', '{"name":');
    assert.deepEqual([checked.status, checked.body.valid], [200, false]);
    assert.equal((await api.ask('agent', 'POST', '/v1/flows/check', agent)).body.valid, true);
    assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows', agent)), [403, 'FORBIDDEN']);
  });

  it('reloads the folder, and keeps the last good one', async () => {
    const file = join(api.home, 'policies', 'roles.yaml');
    const good = readFileSync(file, 'utf8');
    assert.equal((await api.ask('admin', 'POST', '/v1/policies/reload')).body.changed, false);
    writeFileSync(file, 'roles: { finance.controller: { permisions: [] } }\n');
    const refused = await api.ask('admin', 'POST', '/v1/policies/reload');
    assert.deepEqual(codes(refused), [422, 'POLICY_INVALID']);
    assert.equal(refused.body.errors[0].file, 'roles.yaml');
    writeFileSync(file, 'roles: { finance.controller: { permissions: [audit.read] } }\n');
    assert.equal((await api.ask('finance', 'GET', '/v1/audit')).status, 403);
    assert.equal((await api.ask('admin', 'POST', '/v1/policies/reload')).body.changed, true);
    assert.equal((await api.ask('finance', 'GET', '/v1/audit')).status, 200);
    writeFileSync(file, good);
    await api.ask('admin', 'POST', '/v1/policies/reload');
    assert.equal((await api.ask('finance', 'GET', '/v1/audit')).status, 403);
  });

  it('starts what the folder holds, also when a change was taken back; a restart takes back nothing of the API', async () => {
    const file = join(api.home, 'policies', 'flows', 'pay.json');
    const first = readFileSync(file, 'utf8');
    const reload = async (text: string): Promise<unknown> => {
      writeFileSync(file, text);
      return (await api.ask('admin', 'POST', '/v1/policies/reload')).body.changed;
    };
    const runs = async (): Promise<number> => {
      const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
      assert.equal(started.status, 201, started.text);
      return started.body.run.flowVersion as number;
    };
    const before = await runs();
    const looser = first.replace('amount > 100', 'amount > 1000000');
    assert.equal(await reload(looser), true);
    assert.equal(await runs(), before + 1);
    assert.equal(await reload(first), true);
    assert.equal(await runs(), before + 2);
    const held = await api.ask('agent', 'GET', `/v1/flows/pay/versions/${before + 2}`);
    assert.equal(held.body.definition.approval_gate.on, 'amount > 100');
    const published = await api.ask(
      'admin',
      'POST',
      '/v1/flows',
      JSON.parse(first.replace('> 100', '> 50')) as object,
    );
    assert.equal(published.status, 201, published.text);
    assert.equal(await reload(first), false);
    assert.equal(await runs(), before + 3);
  });

  it('makes, lists and revokes keys; the key is shown once', async () => {
    const made = await api.ask('admin', 'POST', '/v1/keys', {
      id: 'robot',
      kind: 'agent',
      permissions: ['run.start'],
      roles: ['finance.controller'],
    });
    assert.equal(made.status, 201, made.text);
    const { key, keyId } = made.body;
    const who = await api.ask(key, 'GET', '/v1/whoami');
    assert.deepEqual(who.body, {
      id: 'robot',
      kind: 'agent',
      roles: ['finance.controller'],
      permissions: ['run.start'],
    });
    assert.deepEqual(codes(await api.ask('admin', 'POST', '/v1/keys', { id: 'robot', kind: 'human' })), [
      409,
      'KIND_CONFLICT',
    ]);
    assert.equal((await api.ask('admin', 'POST', '/v1/keys', { id: 'robot', kind: 'agent' })).status, 201);
    assert.deepEqual(
      codes(
        await api.ask('admin', 'POST', '/v1/keys', {
          id: 'x',
          kind: 'agent',
          expiresAt: '2020-01-01T00:00:00Z',
        }),
      ),
      [422, 'REQUEST_INVALID'],
    );
    const listed = await api.ask('admin', 'GET', '/v1/keys?limit=500');
    assert.ok(
      !listed.text.includes(key) && listed.body.data.some((item: { keyId: string }) => item.keyId === keyId),
    );
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);
    assert.deepEqual(codes(await api.ask(key, 'GET', '/v1/whoami')), [401, 'UNAUTHENTICATED']);
    assert.deepEqual(codes(await api.ask('admin', 'DELETE', '/v1/keys/none')), [404, 'NOT_FOUND']);
    const records = await api.ask('auditor', 'GET', '/v1/audit?type=key.created,key.revoked&limit=500');
    assert.ok(
      records.body.data.some(
        (item: { type: string; data: { keyId: string } }) =>
          item.type === 'key.revoked' && item.data.keyId === keyId,
      ),
    );
  });

  it('answers operators without a credential, and says what is away', async () => {
    assert.deepEqual((await api.ask(null, 'GET', '/readyz')).body, {
      api: true,
      postgres: true,
      temporal: true,
      worker: true,
    });
    api.kernel.away = true;
    const away = await fetch(`${api.url}/readyz`);
    assert.deepEqual([away.status, ((await away.json()) as { temporal: boolean }).temporal], [503, false]);
    api.kernel.away = false;
    const metrics = await api.ask(null, 'GET', '/metrics');
    assert.match(
      metrics.text,
      /countersign_http_requests_total\{route="\/readyz",method="GET",status="200"\} 1/,
    );
    assert.match(metrics.text, /^countersign_store_up 1$/m);
    const docs = await api.ask(null, 'GET', '/docs');
    assert.match(docs.text, /\/v1\/approvals\/\{id\}\/decision/);
    assert.ok(!/<script|<link|<img|src=/.test(docs.text));
    assert.equal((await api.ask(null, 'GET', '/openapi.json')).body.openapi, '3.1.0');
    for (const header of ['content-security-policy', 'x-content-type-options', 'cache-control'])
      assert.ok(docs.headers.get(header), header);
    assert.equal(docs.headers.get('x-powered-by'), null);
  });
});

describe('when the audit store is away', () => {
  it('tells so in its metrics, where nothing asked of it stands then', async () => {
    const nobody = `postgresql://nobody@127.0.0.1:${await freePort()}/none`;
    const pool = makePool({ url: nobody, applicationName: 'metrics', max: 1 });
    try {
      const counts = { internalErrors: () => 7, lostWorkflows: () => 2 };
      const text = await makeMetrics(pool, () => new Date(), counts).text();
      assert.match(text, /^countersign_store_up 0$/m);
      assert.match(text, /^countersign_internal_errors_total\{process="api"\} 7$/m);
      assert.match(text, /^countersign_workflows_lost_total 2$/m);
      assert.doesNotMatch(text, /^countersign_(runs|approvals|notifications_undelivered)\{/m);
    } finally {
      await pool.end();
    }
  });

  it('answers 503 AUDIT_UNAVAILABLE and asks nothing of the engine', async () => {
    let away = false;
    let asked = 0;
    const api = await startApi((deps) => ({
      ...deps,
      client: { ...deps.client, start: (request) => ((asked += 1), deps.client.start(request)) },
      authenticate: (header) =>
        away
          ? Promise.reject(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))
          : deps.authenticate(header),
    }));
    try {
      away = true;
      assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})), [
        503,
        'AUDIT_UNAVAILABLE',
      ]);
      assert.equal(asked, 0);
      away = false;
      assert.equal((await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).status, 201);
    } finally {
      await api.stop();
    }
  });

  it('sends no answer whose record is not durable, and no inside of a bug', async () => {
    let fail: Error | null = null;
    const api = await startApi((deps) => ({
      ...deps,
      chain: {
        ...deps.chain,
        append: (facts) => (fail === null ? deps.chain.append(facts) : Promise.reject(fail)),
      },
    }));
    try {
      fail = Object.assign(new Error('Connection terminated'), { code: '57P01' });
      assert.deepEqual(codes(await api.ask('agent', 'GET', '/v1/whoami')), [503, 'AUDIT_UNAVAILABLE']);
      fail = new Error('a secret inside');
      const bug = await api.ask('agent', 'GET', '/v1/whoami');
      assert.deepEqual(codes(bug), [500, 'INTERNAL']);
      assert.ok(
        !bug.text.includes('secret inside') && api.logged.some((line) => line.includes(bug.body.traceId)),
      );
    } finally {
      await api.stop();
    }
  });
});
