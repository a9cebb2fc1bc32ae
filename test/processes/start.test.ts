import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isRunning, processesMentioning } from '../../testing/processes.js';
import { inCampaigns, inCampaignsUnless, isFull } from '../../testing/samples.js';
import { until } from '../../testing/until.js';
import { startProduct, type Product } from '../../testing/servers/product.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

// One data folder through its whole life: started, refused to a second one, hurt, stopped, started again, killed. No other file
// may start a product on the default port, or take that, while this one runs.
const home = temporaryFolder('start');
let product: Product;

async function isReady(url: string): Promise<true | null> {
  try {
    const response = await fetch(`${url}/readyz`);
    const body = (await response.json()) as { worker?: boolean };
    return response.status === 200 && body.worker === true ? true : null;
  } catch {
    return null;
  }
}

after(async () => {
  await product.stop();
  rmSync(home, { recursive: true, force: true });
});

const names = ['api', 'postgres', 'temporal', 'up', 'worker'];
let url = '';
let ports: Record<string, number> = {};

test('npm start brings everything up and says which process is which, whatever the shell says of other servers and of a proxy that refuses', async (t) => {
  let asked = 0;
  const proxy = net.createServer((socket) => {
    asked += 1;
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`;
  const env = {
    ...{ PORT: '', http_proxy: proxyUrl, https_proxy: proxyUrl, no_proxy: '' },
    PGSSLMODE: 'require',
    PGOPTIONS: '-c default_transaction_read_only=on',
    TEMPORAL_TLS_CERT: '/nowhere.pem',
    TEMPORAL_API_KEY: 'of another',
  };
  product = await startProduct({ home, env, args: ['--no-demo'] });
  url = await product.ready();
  assert.equal(asked, 0);
  const [page = ''] = /(?<=^approvals {6})http:\S+/m.exec(product.output()) ?? [];
  assert.equal(page, `${url}/sign-in`);
  assert.match(await (await fetch(page)).text(), /<form method="post" action="\/sign-in"/);
  const processes = product.processes();
  assert.deepEqual(Object.keys(processes).sort(), names);
  for (const [name, { pid }] of Object.entries(processes)) assert.ok(isRunning(pid), name);
  assert.equal(processes['up']?.pid, product.pid);
  for (const name of ['up', 'api', 'worker']) {
    const title = readFileSync(`/proc/${processes[name]?.pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    assert.equal(title, `countersign ${name}`);
  }
  assert.match(readFileSync(`/proc/${processes['postgres']?.pid}/cmdline`, 'utf8'), /postgres/);
  assert.match(readFileSync(`/proc/${processes['temporal']?.pid}/cmdline`, 'utf8'), /start-dev/);
  const warnings = product.output().match(/^the policies have warnings .+$/gm) ?? [];
  assert.equal(warnings.length, 1);
  assert.match(
    String(warnings[0]),
    / \(.*2 TIER_MISSING.*\): `npx countersign check .+\/policies` shows them$/,
  );
  ports = JSON.parse(readFileSync(join(home, 'ports.json'), 'utf8')) as Record<string, number>;
  assert.equal(url, `http://127.0.0.1:${ports['api']}`);
});

test('development keys and the database password are for their owner only', () => {
  for (const file of ['dev-keys.json', 'postgres.json']) {
    assert.equal((statSync(join(home, file)).mode & 0o777).toString(8), '600', file);
  }
});

test('a second start on the same data folder is refused with exit code 2 and the process that has it', async () => {
  const second = await startProduct({ home, args: ['--no-demo'] });
  assert.deepEqual(await second.exited, { code: 2, signal: null });
  assert.match(
    second.output(),
    new RegExp(`data folder \`${home}\` is in use by process ${product.pid}: stop that one`),
  );
  assert.ok(isRunning(product.pid));
});

for (const name of ['worker', 'api', 'temporal', 'postgres']) {
  test(
    `${name} comes back after kill -9, and everything answers again`,
    inCampaignsUnless(name === 'worker'),
    async () => {
      const before = product.processes()[name]?.pid as number;
      process.kill(before, 'SIGKILL');
      const pid = await until(
        `another ${name}`,
        () => {
          const now = product.processes()[name]?.pid;
          return now === undefined || now === before ? null : now;
        },
        15_000,
      );
      assert.ok(isRunning(pid));
      await until('everything ready', () => isReady(url), 20_000);
    },
  );
}

test('a signal that comes twice is one signal: all stops, code 0, nothing stays', inCampaigns, async () => {
  product.signal('SIGINT');
  product.signal('SIGINT');
  product.signal('SIGTERM');
  assert.deepEqual(await product.exited, { code: 0, signal: null });
  assert.deepEqual(processesMentioning(home), []);
});

test('the next start finds the same ports and the same keys', inCampaigns, async () => {
  const keys = product.keys();
  product = await startProduct({ home, env: { PORT: '' }, args: ['--no-demo'] });
  assert.equal(await product.ready(), url);
  assert.deepEqual(JSON.parse(readFileSync(join(home, 'ports.json'), 'utf8')), ports);
  assert.deepEqual(product.keys(), keys);
  const response = await fetch(`${url}/v1/whoami`, { headers: { authorization: `Bearer ${keys['admin']}` } });
  assert.equal(response.status, 200);
});

test('when the supervisor is killed, everything else stops by itself within 10 s', async () => {
  product.signal('SIGKILL');
  await product.exited;
  await until('everything gone', () => (processesMentioning(home).length === 0 ? true : null), 10_000);
});

test('and the next start works', inCampaigns, async () => {
  product = await startProduct({ home, env: { PORT: '' }, args: ['--no-demo'] });
  assert.equal(await product.ready(), url);
  assert.deepEqual(await product.stop(), { code: 0, signal: null });
  assert.deepEqual(processesMentioning(home), []);
});

test('a default port that is taken gives the next free one, said at a start; a stop in the middle of the boot is clean', async () => {
  // Null: another program has it, which is as good.
  const server = await new Promise<net.Server | null>((resolve) => {
    const occupant = net.createServer();
    occupant.on('error', () => resolve(null));
    occupant.listen(8080, '127.0.0.1', () => resolve(occupant));
  });
  const home = temporaryFolder('default-port');
  const start = () => startProduct({ home, env: { PORT: '' }, args: ['--no-demo'] });
  const file = join(home, 'ports.json');
  const first = await start();
  const kept = await until(
    'a port',
    () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { api?: number }) : null),
    20_000,
  );
  assert.ok((kept.api ?? 0) > 8080, `port ${kept.api}`);
  const said = new RegExp(`^port 8080 on 127\\.0\\.0\\.1 is taken: the API listens on ${kept.api};`, 'm');
  await first.line(said);
  await first.line(/creating the database/);
  assert.deepEqual(await first.stop(), { code: 0, signal: null });
  assert.doesNotMatch(first.output(), /^ready/m);
  assert.deepEqual(processesMentioning(home), []);
  if (isFull) {
    const later = await start();
    await later.line(/^(creating the database|postgres answers)/m);
    assert.deepEqual(await later.stop(), { code: 0, signal: null });
    assert.match(later.output(), said);
  }
  server?.close();
  rmSync(home, { recursive: true, force: true });
});
