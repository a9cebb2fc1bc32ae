import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname, join, relative } from 'node:path';
import { after, test } from 'node:test';
import { sharedRoot } from '../../src/embedded/postgres/binaries.js';
import { projectRoot } from '../../testing/paths.js';
import { processesMentioning } from '../../testing/processes.js';
import { inCampaigns } from '../../testing/samples.js';
import { startProduct } from '../../testing/servers/product.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

const folders: string[] = [];
function newHome(): string {
  const home = temporaryFolder('refusals');
  folders.push(home);
  return home;
}
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** Takes a port as another program would; gives null where somebody else already has it. */
function occupy(port: number): Promise<net.Server | null> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('a port that was asked for and is taken is an error, before anything is started', async () => {
  const server = await occupy(0);
  const { port } = server?.address() as net.AddressInfo;
  const home = newHome();
  const product = await startProduct({ home, env: { PORT: String(port) } });
  assert.deepEqual(await product.exited, { code: 1, signal: null });
  assert.match(product.output(), new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken`));
  assert.ok(!existsSync(join(home, 'postgres')));
  server?.close();
});

test('a policy that is wrong stops the start, with file, line and what is wrong', async () => {
  const home = newHome();
  const policies = join(home, 'wrong');
  mkdirSync(join(policies, 'flows'), { recursive: true });
  const text =
    'version: 1\nworkflows:\n  broken:\n    initialState: here\n    gaurds: []\n    states:\n      here: {}\n';
  writeFileSync(join(policies, 'flows', 'broken.yaml'), text);
  const product = await startProduct({ home, env: { COUNTERSIGN_POLICIES: policies } });
  assert.deepEqual(await product.exited, { code: 1, signal: null });
  assert.match(product.output(), /flows\/broken\.yaml:5:\d+ .*`gaurds`/);
  assert.ok(!existsSync(join(home, 'postgres')));
});

test('a variable that makes no sense is named, with its value', async () => {
  const product = await startProduct({ home: newHome(), env: { PORT: 'eighty' } });
  assert.deepEqual(await product.exited, { code: 1, signal: null });
  assert.match(product.output(), /PORT is `eighty`: it must be a port number/);
});

test('a key that cannot be used is told once, with what to do, before anything is started', async () => {
  const home = newHome();
  const product = await startProduct({ home, env: { COUNTERSIGN_KEK: 'c2hvcnQ=' } });
  assert.deepEqual(await product.exited, { code: 1, signal: null });
  const told = product
    .output()
    .match(/^COUNTERSIGN_KEK must be 32 bytes in base64 or hex, not 5 bytes: give .+/gm);
  assert.equal(told?.length, 1, product.output());
  assert.doesNotMatch(product.output(), /c2hvcnQ|\n +at |ended/);
  assert.ok(!existsSync(join(home, 'postgres')));
});

test('countersign migrate tells a key that cannot be used before it asks the database, and with no more than what to do', () => {
  const home = newHome();
  mkdirSync(join(home, 'keys', 'kek'), { recursive: true });
  const env = {
    ...process.env,
    COUNTERSIGN_HOME: home,
    DATABASE_URL: 'postgres://127.0.0.1:9/x',
    TEMPORAL_ADDRESS: '127.0.0.1:9',
  };
  const bin = join(projectRoot, 'bin', 'countersign.mjs');
  const { status, stdout } = spawnSync(process.execPath, [bin, 'migrate'], { encoding: 'utf8', env });
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^the key file `.+\/keys\/kek` cannot be read \(EISDIR: .+ or set COUNTERSIGN_KEK to .+\n$/,
  );
});

for (const [command, who] of [
  ['api', 'API'],
  ['worker', 'worker'],
] as const)
  test(`countersign ${command} by itself ends over a key that cannot be used with the sentence alone`, () => {
    const home = newHome();
    const env = {
      ...process.env,
      COUNTERSIGN_HOME: home,
      COUNTERSIGN_KEK: 'c2hvcnQ=',
      DATABASE_URL: 'postgres://127.0.0.1:9/x',
      TEMPORAL_ADDRESS: '127.0.0.1:9',
    };
    const bin = join(projectRoot, 'bin', 'countersign.mjs');
    const { status, stderr } = spawnSync(process.execPath, [bin, command], { encoding: 'utf8', env });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^the ${who} ends: COUNTERSIGN_KEK must be 32 bytes .+ is read\\n$`));
    assert.ok(!existsSync(join(home, 'keys')), 'no key is made beside it');
  });

test('an option that is not there is refused', async () => {
  const product = await startProduct({ home: newHome(), args: ['--no-dmeo'] });
  assert.deepEqual(await product.exited, { code: 2, signal: null });
  assert.match(product.output(), /`up` does not take `--no-dmeo`: did you mean `--no-demo`\?/);
});

test('an option that npm keeps for itself starts nothing, and how it is written is said', async () => {
  for (const [script, command] of [
    ['start', 'npm start'],
    ['dev', 'npm run dev'],
  ] as const) {
    const home = join(newHome(), 'home');
    const product = await startProduct({
      ...{ home, env: { npm_config_demo: '' } },
      script: join(projectRoot, 'scripts', `${script}.mjs`),
    });
    assert.deepEqual(await product.exited, { code: 2, signal: null });
    assert.equal(
      product.output(),
      `npm has kept \`--no-demo\` for itself, and nothing is started: write \`${command} -- --no-demo\`\n`,
    );
    assert.ok(!existsSync(home));
  }
});

test(
  'a start says on the terminal which floor its policies take away, and begins all the same',
  inCampaigns,
  async () => {
    const parent = newHome();
    const home = join(parent, 'home');
    const policies = join(parent, 'policies');
    cpSync(join(projectRoot, 'policies'), policies, { recursive: true });
    const start = () => startProduct({ home, env: { COUNTERSIGN_POLICIES: policies } });
    const file = join(policies, 'environments.yaml');
    const floor = 'gates: [{ tiers: [irreversible], roles: [finance.controller] }]';
    writeFileSync(file, `version: 1\nenvironments:\n  dev: {}\n  staging: {}\n  prod: { ${floor} }\n`);
    const first = await start();
    await first.ready();
    assert.doesNotMatch(first.output(), /take away/);
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    writeFileSync(file, 'version: 1\nenvironments:\n  dev: {}\n  staging: {}\n  prod: {}\n');
    const second = await start();
    await second.ready();
    assert.match(second.output(), /policies.* take away what was there before: floor prod: /);
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
  },
);

test('a data folder that is a file, and policies with an error, are told with where they are', async () => {
  const home = newHome();
  const file = join(home, 'file');
  writeFileSync(file, '');
  const first = await startProduct({ home: file });
  assert.deepEqual(await first.exited, { code: 1, signal: null });
  assert.match(first.output(), /file` cannot be the data folder \(EEXIST\): set COUNTERSIGN_HOME/);
  assert.doesNotMatch(first.output(), /\n +at /);
  const policies = join(home, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'roles.yaml'), 'rols: {}\n');
  const second = await startProduct({ home: join(home, 'home'), env: { COUNTERSIGN_POLICIES: policies } });
  assert.deepEqual(await second.exited, { code: 1, signal: null });
  const place = relative(projectRoot, join(policies, 'roles.yaml'));
  const said = `${place}:1:1 unknown key \`rols\`: did you mean \`roles\`? (UNKNOWN_KEY at /rols)`;
  assert.ok(second.output().includes(`\n${said}\n`), second.output());
});

const closed = process.getuid?.() === 0 ? inCampaigns : { skip: 'only root needs another user for postgres' };
test('root: a data folder that others may not enter, with policies of its own', closed, async () => {
  const parent = newHome();
  chmodSync(parent, 0o700);
  const home = join(parent, 'home');
  const policies = join(parent, 'policies');
  cpSync(join(projectRoot, 'policies'), policies, { recursive: true });
  const product = await startProduct({ home, env: { COUNTERSIGN_POLICIES: policies } });
  await product.ready();
  const { dataDir } = JSON.parse(readFileSync(join(home, 'postgres.json'), 'utf8')) as { dataDir: string };
  folders.push(dirname(dataDir));
  assert.ok(dataDir.startsWith(sharedRoot), dataDir);
  // Somebody's own policies: no example services, no demonstration.
  const ports = JSON.parse(readFileSync(join(home, 'ports.json'), 'utf8')) as Record<string, number>;
  assert.equal(ports['payroll'], undefined);
  assert.doesNotMatch(product.output(), /approve with/);
  assert.deepEqual(await product.stop(), { code: 0, signal: null });
  assert.deepEqual(processesMentioning(home), []);
});
