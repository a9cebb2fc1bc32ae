// `npm test [-- <path prefix>…]`: installs, builds, starts one Postgres and one Temporal for all test files, runs them.
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  assertNodeVersion,
  ensureBuilt,
  ensureInstalled,
  Failed,
  root,
  runStep,
  say,
  stopSignal,
  Stopped,
} from './lib.mjs';

const fileTimeoutMs = 480_000;

assertNodeVersion();
const signal = stopSignal();
const closers = [];
try {
  await ensureInstalled(signal);
  await ensureBuilt(signal);
  const files = testFiles(process.argv.slice(2));
  const env = { ...cleanEnvironment(), ...(await startServers()) };
  const args = ['--import', 'tsx', '--test', '--test-reporter=spec', '--test-concurrency=2'];
  args.push(`--test-timeout=${fileTimeoutMs}`, ...files);
  process.exitCode = await runStep('testing', process.execPath, args, {
    signal,
    env,
    anyCode: true,
    // A test that runs a whole product passes the signal on to it.
    graceMs: 25_000,
  });
} catch (error) {
  process.exitCode = error instanceof Stopped || signal.aborted ? 130 : 1;
  if (error instanceof Failed) process.stderr.write(`${error.message}\n`);
  else if (process.exitCode === 1) process.stderr.write(`${error.stack ?? error}\n`);
} finally {
  for (const close of closers.reverse()) await close();
}
process.exit();

function testFiles(filters) {
  const all = readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => join('test', path))
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
  const wanted = filters.map((filter) => relative(root, join(root, normalize(filter))));
  const files = all.filter((path) => wanted.length === 0 || wanted.some((prefix) => path.startsWith(prefix)));
  if (files.length === 0) throw new Failed(`no test file matches \`${filters.join(' ')}\``);
  return files;
}

/** What the developer's shell sets for a product of their own must not reach the tests. */
function cleanEnvironment() {
  const foreign = /^(COUNTERSIGN_|TEMPORAL_|TEST_|DATABASE_URL$|PORT$|HOST$|PG[A-Z]+$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

async function load(path) {
  return import(pathToFileURL(join(root, 'dist', 'embedded', path)).href);
}

async function startServers() {
  const [{ findTemporal }, { preparePostgres }, { prepareDevServer }, { prepareTemporal }, { freePort }] =
    await Promise.all(
      [
        'temporal/binary.js',
        'postgres/postgres.js',
        'temporal/temporal.js',
        'temporal/prepare.js',
        'process/ports.js',
      ].map(load),
    );
  const binary = await findTemporal({ say, signal });
  if (binary.status === 'missing') throw new Failed(binary.message);
  say('starting Postgres and Temporal for the tests');
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-test-')));
  closers.push(() => rmSync(home, { recursive: true, force: true }));
  // Postgres runs as another user when we are root, and mkdtemp lets nobody else pass.
  chmodSync(home, 0o711);

  const postgres = await preparePostgres({ home, choosePort: freePort, say, disposable: true });
  closers.push(() => postgres.close());
  const database = await postgres.launch(signal);
  closers.push(() => database.stop());

  const namespaces = ['dev', 'staging', 'prod'].map((name) => `countersign-${name}`);
  const choosePorts = async () => ({
    grpc: await freePort(),
    http: await freePort(),
    metrics: await freePort(),
  });
  const server = await prepareDevServer({ binary: binary.path, home, choosePorts, namespaces, say });
  const temporal = await server.launch(signal);
  closers.push(() => temporal.stop());
  await prepareTemporal({ connection: { address: server.address }, namespaces, signal, say });

  return {
    // Whatever an interrupted test leaves behind goes with the folder.
    TMPDIR: home,
    TEST_DATABASE_ADMIN_URL: postgres.url('postgres'),
    TEST_TEMPORAL_ADDRESS: server.address,
    TEST_TEMPORAL_HTTP: `http://127.0.0.1:${server.ports.http}`,
    TEST_TEMPORAL_CLI: binary.path,
    TEMPORAL_CLI_PATH: binary.path,
  };
}
