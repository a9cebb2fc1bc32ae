// `npm test [-- <path prefix>… --grep <pattern>]` installs, builds, and runs the test files; it starts a Postgres and a Temporal
// if a file asks for them. `--record` runs each file alone and keeps how long it took (test/timings.json). `--campaigns` runs
// instead what `npm test` leaves out: `*.campaign.ts`, and in full the files of which it runs a part (`testing/samples.ts`).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, normalize, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { coreSeconds } from './core-seconds.mjs';
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
/** How many processes run at once: of the test files that keep a core busy, and beside them of those that mostly wait. */
const concurrency = { busy: 3, waiting: 4 };
const onlyCampaigns = 'only the campaigns run these files: npm test -- --campaigns <the same paths>';
/** The database of which each test gets a copy. */
const template = 'countersign_template';

assertNodeVersion();
const signal = stopSignal();
const closers = [];
/** Seconds of a core, by what has taken them. */
const taken = { tests: 0 };
/** What is left to the campaigns. */
let left = { files: [], others: [], paths: [] };
try {
  const { files, grep, record, campaigns, paths } = readArguments();
  await ensureInstalled(signal);
  await ensureBuilt(signal);
  // Imported only now, because the compiler may have been installed just before.
  const { compileTests } = await import('./compile-tests.mjs');
  const compiled = await compileTests(files);
  closers.push(compiled.remove);
  const { isCampaign, planTests, recordTimings, usesSamples } = await import('./test-plan.mjs');
  const isOfRun = campaigns ? (test) => isCampaign(test) || usesSamples(test) : (test) => !isCampaign(test);
  const tests = compiled.tests.filter(isOfRun);
  if (tests.length === 0)
    throw new Failed(campaigns ? 'the campaigns have nothing to run in these files' : onlyCampaigns);
  const { busy, waiting, needServers } = planTests(compiled.folder, tests, { apart: record });
  const coresFile = join(root, compiled.folder, 'core-seconds.jsonl');
  const env = {
    ...cleanEnvironment(),
    ...chooseSamples(campaigns),
    TEST_CORE_SECONDS: coresFile,
    TEST_COMPILED: join(root, compiled.folder),
    ...(needServers ? await startServers() : {}),
  };
  const lanes = [
    { name: 'busy', modules: busy },
    { name: 'waiting', modules: waiting },
  ].filter(({ modules }) => modules.length > 0);
  process.exitCode = Math.max(...(await runLanes(lanes, compiled.folder, grep, env)));
  const said = lanes.flatMap(({ name }) => readLines(timesOf(compiled.folder, name)));
  if (process.exitCode === 0 && grep !== undefined && said.every(({ ran = 0 }) => ran === 0))
    throw new Failed(`no test's name matches \`${grep}\` in these files`);
  const cores = readLines(coresFile);
  taken.tests = cores.reduce((sum, { core }) => sum + core, 0);
  const slowest = timesIn(said, cores, [...busy, ...waiting]).sort((a, b) => b.seconds - a.seconds);
  if (record) recordTimings(slowest);
  if (slowest.length > 1) say('the slowest files:');
  for (const {
    files: [first, ...others],
    seconds,
    core,
  } of slowest.slice(0, record ? slowest.length : 10))
    say(
      `${seconds.toFixed(1).padStart(6)} s, ${core.toFixed(1).padStart(5)} s of a core  ${first}${others.length > 0 ? ` and ${others.length} others` : ''}`,
    );
  if (!campaigns)
    left = { files: compiled.tests.filter(isCampaign), others: tests.filter(usesSamples), paths };
} catch (error) {
  process.exitCode = error instanceof Stopped || signal.aborted ? 130 : 1;
  if (error instanceof Failed) process.stderr.write(`${error.message}\n`);
  else if (process.exitCode === 1) process.stderr.write(`${error.stack ?? error}\n`);
} finally {
  for (const close of closers.reverse()) await close();
  sayWhatItTook();
  sayWhatIsLeft();
}
process.exit();

function parseOptions() {
  const options = {
    grep: { type: 'string' },
    campaigns: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  };
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    const usage = 'npm test -- [<path below test>…] [--grep <part of a name>] [--campaigns] [--record]';
    throw new Failed(`${error.message}\nusage: ${usage}`);
  }
}

function readArguments() {
  const { values, positionals: paths } = parseOptions();
  return { ...values, files: testFiles(paths), paths };
}

function sayWhatItTook() {
  if (taken.tests === 0) return;
  const all = coreSeconds();
  taken['the rest'] = all - Object.values(taken).reduce((sum, seconds) => sum + seconds, 0);
  const parts = Object.entries(taken).map(([what, seconds]) => `${what} ${seconds.toFixed(0)}`);
  say(`seconds of a core: ${all.toFixed(0)} (${parts.join(', ')})`);
}

/** Says how many files, and parts of files, only the campaigns run. */
function sayWhatIsLeft() {
  const { files, others, paths } = left;
  if (files.length + others.length === 0) return;
  const command = paths.length === 0 ? 'run campaigns -- --small' : `test -- --campaigns ${paths.join(' ')}`;
  say(
    `left to the campaigns: ${files.length} files, and a part of ${others.length} others; run them with: npm ${command}`,
  );
}

/** The test files below the paths; without paths, all test files. */
function testFiles(paths) {
  const all = readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => join('test', path))
    .filter((path) => /\.(test|campaign)\.ts$/u.test(path))
    .sort();
  const wanted = paths.map((path) => relative(root, join(root, normalize(path))));
  const files = all.filter((path) => wanted.length === 0 || wanted.some((prefix) => path.startsWith(prefix)));
  if (files.length === 0) throw new Failed(`no test file matches \`${paths.join(' ')}\``);
  return files;
}

/** Runs the lanes side by side and gives the exit code of each. If a lane cannot go on, the others are stopped. */
async function runLanes(lanes, folder, grep, env) {
  const failing = new AbortController();
  const running = new Set(lanes);
  const ended = await Promise.allSettled(
    lanes.map((lane, index) =>
      runLane(lane, folder, grep, env, {
        isBeside: index > 0,
        isSilent: () => index > 0 && running.size > 1,
        signal: AbortSignal.any([signal, failing.signal]),
      })
        .catch((error) => {
          failing.abort(error);
          throw error;
        })
        .finally(() => running.delete(lane)),
    ),
  );
  if (failing.signal.aborted) throw failing.signal.reason;
  return ended.map(({ value }) => value);
}

/** Runs a lane. If it runs beside another, its output is shown when it is done, so that the two are not mixed. */
async function runLane({ name, modules }, folder, grep, env, { isBeside, isSilent, signal }) {
  const said = isBeside ? join(root, folder, `${name}.txt`) : 'stdout';
  const [fileTimes, endsItsTests] = ['file-times.mjs', 'ends-its-tests.mjs'].map(
    (script) => pathToFileURL(join(root, 'scripts', script)).href,
  );
  const options = [
    ...[
      '--enable-source-maps',
      `--import=${endsItsTests}`,
      '--test',
      `--test-concurrency=${concurrency[name]}`,
      `--test-timeout=${fileTimeoutMs}`,
    ],
    ...['--test-reporter=spec', `--test-reporter-destination=${said}`],
    ...[`--test-reporter=${fileTimes}`, `--test-reporter-destination=${timesOf(folder, name)}`],
    ...(grep === undefined ? [] : ['--test-name-pattern', grep]),
  ];
  // A test that runs a whole product passes a stop on to it.
  const how = { signal, env, anyCode: true, graceMs: 25_000, isSilent };
  try {
    return await runStep('testing', process.execPath, [...options, ...modules.map(({ path }) => path)], how);
  } finally {
    if (isBeside && existsSync(said)) process.stdout.write(readFileSync(said));
  }
}

function timesOf(folder, lane) {
  return join(root, folder, `${lane}.jsonl`);
}

/** Chooses which share of the large tests runs (`testing/samples.ts`); it changes with each commit. */
function chooseSamples(isFull) {
  if (isFull) return { TEST_SAMPLES: 'full' };
  const seed = createHash('sha256').update(currentCommit()).digest().readUInt32BE();
  say(`the large tests run a share of their cases, drawn with seed ${seed} from this commit`);
  return { TEST_SEED: String(seed) };
}

function currentCommit() {
  try {
    const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('git', ['rev-parse', 'HEAD'], options);
  } catch {
    return 'sources without a repository';
  }
}

function readLines(path) {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

/** The times of each process, with the test files that it has run. */
function timesIn(said, cores, modules) {
  const files = new Map(modules.map((module) => [join(root, module.path), module.files]));
  const coreOf = new Map(cores.map(({ module, core }) => [module, core]));
  return said
    .filter(({ file }) => file !== undefined)
    .map(({ file, seconds }) => ({ files: files.get(file), seconds, core: coreOf.get(basename(file)) ?? 0 }));
}

/** The environment without the variables that a developer's shell sets for a product of their own. */
function cleanEnvironment() {
  const foreign = /^(COUNTERSIGN_|TEMPORAL_|TEST_|DATABASE_URL$|PORT$|HOST$|PG[A-Z]+$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

const memory = '/dev/shm';
const enoughBytes = 4 * 1024 ** 3;

/** A folder in memory if there is room: what tests write need not last, and a disk costs time of a core. */
function temporaryFolder() {
  try {
    accessSync(memory, constants.W_OK);
    const { bavail, bsize } = statfsSync(memory);
    const mounted = readFileSync('/proc/mounts', 'utf8').split('\n');
    const mayRun = mounted.some((line) => line.includes(` ${memory} `) && !line.includes('noexec'));
    if (mayRun && bavail * bsize >= enoughBytes) return memory;
  } catch {
    // This system has no such folder.
  }
  return tmpdir();
}

/** Sets Postgres for databases that live for seconds: they need no vacuum, and no log that is synced to the disk. */
async function setForTests(url) {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const setting of ['autovacuum = off', 'synchronous_commit = off', "checkpoint_timeout = '1h'"])
      await client.query(`alter system set ${setting}`);
    await client.query('select pg_reload_conf()');
  } finally {
    await client.end();
  }
}

async function importBuilt(path) {
  return import(pathToFileURL(join(root, 'dist', path)).href);
}

async function stopAndCount(what, stop) {
  const before = coreSeconds();
  await stop();
  taken[what] = coreSeconds() - before;
}

async function startServers() {
  const [
    { findTemporal },
    { preparePostgres },
    { prepareDevServer },
    { prepareTemporal },
    { freePort },
    { migrate },
  ] = await Promise.all(
    [
      'embedded/temporal/binary.js',
      'embedded/postgres/postgres.js',
      'embedded/temporal/temporal.js',
      'embedded/temporal/prepare.js',
      'embedded/process/ports.js',
      'db/index.js',
    ].map(importBuilt),
  );
  const binary = await findTemporal({ say, signal });
  if (binary.status === 'missing') throw new Failed(binary.message);
  say('starting Postgres and Temporal for the tests');
  const home = realpathSync(mkdtempSync(join(temporaryFolder(), 'countersign-test-')));
  closers.push(() => rmSync(home, { recursive: true, force: true }));
  // Postgres runs as another user when we are root, and mkdtemp lets nobody else pass.
  chmodSync(home, 0o711);

  const postgres = await preparePostgres({ home, choosePort: freePort, say, disposable: true });
  closers.push(() => postgres.close());
  const database = await postgres.launch(signal);
  closers.push(() => stopAndCount('Postgres', () => database.stop()));

  await postgres.createDatabase(template);
  await migrate(postgres.url(template));
  await setForTests(postgres.url('postgres'));

  const namespaces = ['dev', 'staging', 'prod'].map((name) => `countersign-${name}`);
  const choosePorts = async () => ({
    grpc: await freePort(),
    http: await freePort(),
    metrics: await freePort(),
  });
  const server = await prepareDevServer({ binary: binary.path, home, choosePorts, namespaces, say });
  const temporal = await server.launch(signal);
  closers.push(() => stopAndCount('Temporal', () => temporal.stop()));
  await prepareTemporal({ connection: { address: server.address }, namespaces, signal, say });

  return {
    // Files that an interrupted test leaves behind are removed with the folder.
    TMPDIR: home,
    TEST_DATABASE_ADMIN_URL: postgres.url('postgres'),
    TEST_DATABASE_TEMPLATE: template,
    TEST_TEMPORAL_ADDRESS: server.address,
    TEST_TEMPORAL_HTTP: `http://127.0.0.1:${server.ports.http}`,
    TEST_TEMPORAL_CLI: binary.path,
    TEMPORAL_CLI_PATH: binary.path,
  };
}
