// The example programs, started as programs.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { closeExecutors, runCall } from '../../src/executors/index.js';
import { contextWith, root } from './world.js';

const started = new Set<ChildProcess>();
after(async () => {
  for (const child of started) child.kill('SIGKILL');
  await closeExecutors();
});

function start(
  name: string,
  env: Record<string, string>,
): { child: ChildProcess; line(pattern: RegExp): Promise<string> } {
  const child = spawn(process.execPath, [join(root, 'dist', 'examples', `${name}.js`)], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: root,
  });
  started.add(child);
  child.on('exit', () => started.delete(child));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const line = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      lines.on('line', (text) => pattern.test(text) && resolve(text));
      child.on('exit', () => reject(new Error(`${name} ended before it said ${pattern.source}`)));
    });
  return { child, line };
}

async function startService(
  name: string,
  env: Record<string, string>,
): Promise<{ url: string; child: ChildProcess }> {
  const { child, line } = start(name, env);
  const text = await line(/listening on/);
  return { child, url: /http:\S+/.exec(text)?.[0] ?? assert.fail(text) };
}

async function post(url: string, body: unknown, key?: string): Promise<{ status: number; body: unknown }> {
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { 'idempotency-key': key }),
  };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

test('payroll pays once per key, through scripted failures and a kill -9', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'payroll-')), 'book.json');
  const first = await startService('expense/payroll', { PAYROLL_DATA: file });
  const payment = { employee: 'ana', amount: 1200 };
  await post(`${first.url}/_fail`, { statuses: [503, 503] });
  const statuses: number[] = [];
  for (let n = 0; n < 4; n += 1)
    statuses.push((await post(`${first.url}/reimbursements`, payment, 'key-1')).status);
  assert.deepEqual(statuses, [503, 503, 201, 201]);
  assert.equal((await post(`${first.url}/reimbursements`, { ...payment, amount: 9 }, 'key-1')).status, 422);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = await startService('expense/payroll', { PAYROLL_DATA: file });
  assert.equal((await post(`${second.url}/reimbursements`, payment, 'key-1')).status, 201);
  const list = (await (await fetch(`${second.url}/reimbursements`)).json()) as { reimbursements: unknown[] };
  assert.deepEqual(list.reimbursements, [{ id: 'pay_1', ...payment, status: 'paid' }]);
});

test('erp drafts and releases; it ends when its parent is gone', async () => {
  const { url, child } = await startService('payment/erp', { STOP_WITH_PARENT: '1' });
  const drafted = await post(`${url}/payments/draft`, { vendor: 'ACME GmbH', amount: 60_000 }, 'k');
  assert.deepEqual(drafted, {
    status: 201,
    body: { id: 'pmt_1', vendor: 'ACME GmbH', amount: 60_000, status: 'draft' },
  });
  assert.equal((await post(`${url}/payments/draft`, { vendor: '', amount: 'x' })).status, 422);
  assert.equal((await post(`${url}/payments/release`, { id: 'pmt_1' })).status, 200);
  const list = (await (await fetch(`${url}/payments`)).json()) as { payments: { status: string }[] };
  assert.deepEqual(
    list.payments.map((payment) => payment.status),
    ['released'],
  );
  child.stdin?.end();
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('the classifier judges an expense, and says nothing about what it cannot classify', async () => {
  const transport = {
    kind: 'stdio',
    command: process.execPath,
    args: ['dist/examples/expense/classifier.js'],
    env: {},
    workingDirectory: null,
  } as const;
  const classify = async (amount: number, category: string): Promise<unknown> => {
    const call = {
      kind: 'mcp',
      connection: 'classifier',
      tool: 'classify_expense',
      arguments: { employee: 'ana', amount, category },
    } as const;
    const result = await runCall(call, contextWith({ kind: 'mcp', transport }, { idempotencyKey: 'k' }));
    return result.status === 'succeeded' ? result.output : result;
  };
  assert.deepEqual(await classify(80, 'travel'), { policyOk: true, requiresFinance: false });
  assert.deepEqual(await classify(1000.01, 'travel'), { policyOk: true, requiresFinance: true });
  assert.deepEqual(await classify(80, 'Gambling'), { policyOk: false, requiresFinance: false });
  assert.deepEqual(await classify(80, 'unknown'), {});
});

interface FakeApi {
  readonly server: Server;
  readonly url: string;
  readonly log: string[];
  approve(): void;
}

/** As much of Countersign as the agent sees. `earlier`: how the payment of an earlier start's demonstration stands. */
async function fakeApi(earlier: string | null): Promise<FakeApi> {
  const log: string[] = [];
  let status = 'pending';
  const count = (pattern: RegExp): number => log.filter((line) => pattern.test(line)).length;
  const demonstration = { trace: { model: 'countersign-demonstration-1' } };
  let firstAnswer = true;
  const answers: readonly (readonly [RegExp, () => readonly [number, unknown]])[] = [
    [/^GET \/v1\/whoami/, () => [200, { id: 'agent' }]],
    [
      /^GET \/v1\/runs\?.*status=waiting/,
      () => [200, { data: earlier === null ? [] : [{ id: 'run_other' }, { id: 'run_0' }] }],
    ],
    [/^GET \/v1\/runs\?/, () => [200, { data: [] }]],
    [/^GET \/v1\/runs\/run_other$/, () => [200, { approvals: [{ id: 'apr_other', status: 'open' }] }]],
    [/^GET \/v1\/runs\/run_0$/, () => [200, { approvals: [{ id: 'apr_0', status: 'approved' }] }]],
    [/^GET \/v1\/approvals\/apr_0$/, () => [200, { ...demonstration, action: 'act_0' }]],
    [/^GET \/v1\/actions\/act_0$/, () => [200, { status: count(/act_0$/) === 1 ? earlier : status }]],
    [/^GET \/v1\/approvals\/apr_other$/, () => [200, { trace: null }]],
    [/^POST \/v1\/flows\//, () => [201, { run: { id: 'run_1' } }]],
    [
      /^POST .*erp\.payment\.draft$/,
      () => [202, { result: { status: 'pending', approval: { id: 'apr_1' }, poll: '/v1/actions/act_1' } }],
    ],
    [/^GET \/v1\/actions\/act_1$/, () => [200, { status }]],
    [/^POST .*\/complete$/, () => [200, { result: { status: 'executed' }, run: { status: 'completed' } }]],
  ];
  const server = createServer((request: IncomingMessage, response) => {
    // Starting again while the agent asks: it has to ask once more.
    if (firstAnswer) return void ((firstAnswer = false), request.socket.destroy());
    const line = `${request.method ?? ''} ${request.url ?? ''}`;
    log.push(line);
    const [code, body] = answers.find(([pattern]) => pattern.test(line))?.[1]() ?? [
      404,
      { code: 'NOT_FOUND' },
    ];
    response
      .writeHead(code, { 'content-type': 'application/json', 'retry-after': '0' })
      .end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { server, url, log, approve: () => (status = 'executed') };
}

async function demonstrate(
  earlier: string | null,
): Promise<{ api: FakeApi; agent: ReturnType<typeof start>; ended: Promise<unknown> }> {
  const api = await fakeApi(earlier);
  const agent = start('payment/agent', {
    COUNTERSIGN_URL: api.url,
    COUNTERSIGN_KEY: 'k',
    APPROVE_COMMAND: 'do {approval} now',
  });
  const ended = once(agent.child, 'exit').finally(() => {
    api.server.closeAllConnections();
    api.server.close();
  });
  return { api, agent, ended };
}

for (const [earlier, takenUp] of [
  [null, false],
  ['pending', true],
  // Approved, and its run refused to execute it: there is nothing left that a human could decide.
  ['failed', false],
  ['denied', false],
  ['expired', false],
] as const) {
  test(`the agent ${takenUp ? 'takes up' : 'starts a run beside'} an earlier demonstration that is ${earlier ?? 'not there'}, is parked, and completes it once approved`, async () => {
    const { api, agent, ended } = await demonstrate(earlier);
    const [run, approval] = takenUp ? ['run_0', 'apr_0'] : ['run_1', 'apr_1'];
    const done = agent.line(/completed/);
    assert.equal(await agent.line(/approve with/), `approve with: do ${approval} now`);
    assert.ok(!api.log.some((line) => line.endsWith('/complete')), 'completed before anybody approved');
    api.approve();
    await done;
    assert.deepEqual(await ended, [0, null]);
    assert.equal(api.log.filter((line) => line.startsWith('POST /v1/flows')).length, takenUp ? 0 : 1);
    assert.ok(api.log.includes(`POST /v1/runs/${run}/transitions/complete`));
  });
}

for (const earlier of ['approved', 'executing', 'executed']) {
  test(`the agent asks nobody to approve an earlier demonstration that is ${earlier}, and completes it`, async () => {
    const { api, agent, ended } = await demonstrate(earlier);
    api.approve();
    assert.match(await agent.line(/./), /run run_0: .* is completed/);
    assert.deepEqual(await ended, [0, null]);
  });
}
