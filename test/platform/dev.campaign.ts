import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectRoot } from '../../testing/paths.js';
import { processesMentioning } from '../../testing/processes.js';
import { startProduct, type Product } from '../../testing/servers/product.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

// Mostly waits: for the servers, and for processes to start.

// `npm run dev` in a copy of the project, whose sources are edited while it runs.
const copy = temporaryFolder('dev');
const home = join(copy, 'home');
const route = join(copy, 'src', 'api', 'routes', 'operation.ts');
const answer = "answer(200, { status: 'ok' })";
const source = readFileSync(join(projectRoot, 'src', 'api', 'routes', 'operation.ts'), 'utf8');
let product: Product;
let url = '';

before(async () => {
  assert.ok(source.includes(answer));
  const parts = ['src', 'examples', 'policies', 'scripts', 'dist', 'package.json', 'package-lock.json'];
  for (const part of parts)
    cpSync(join(projectRoot, part), join(copy, part), { recursive: true, preserveTimestamps: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(copy, 'node_modules'));
  product = await startProduct({ home, args: ['--no-demo'], script: join(copy, 'scripts', 'dev.mjs') });
  url = await product.ready();
  await product.line(/^watching /m);
});

after(async () => {
  await product.stop();
  rmSync(copy, { recursive: true, force: true });
});

const statusNow = async (): Promise<unknown> => (await fetch(`${url}/livez`)).json();
const edit = (text: string): void => writeFileSync(route, source.replace(answer, text));
const pids = (): Record<string, number> =>
  Object.fromEntries(Object.entries(product.processes()).map(([name, { pid }]) => [name, pid]));

test('a source that changes is built, and API and worker start anew from it; Postgres and Temporal stay up', async () => {
  const old = pids();
  edit("answer(200, { status: 'edited' as 'ok' })");
  await product.line(/^built src\/api\/routes\/operation\.ts in [\d.]+ s$/m);
  await product.line(/^started API, worker anew in .*$/m);
  assert.deepEqual(await statusNow(), { status: 'edited' });
  const now = pids();
  for (const name of ['up', 'postgres', 'temporal']) assert.equal(now[name], old[name], name);
  for (const name of ['api', 'worker']) assert.notEqual(now[name], old[name], name);
});

test('a source that does not build is told with its place, and what runs goes on', async () => {
  const old = pids();
  edit('answer(200, { status: }');
  await product.line(/^the build failed/m);
  assert.match(product.output(), /src\/api\/routes\/operation\.ts:\d+:\d+/);
  assert.deepEqual(await statusNow(), { status: 'edited' });
  assert.deepEqual(pids(), old);
});

test('what has changed since the last build that went well is started anew, the example services too', async () => {
  const erp = join(copy, 'examples', 'payment', 'erp.ts');
  writeFileSync(erp, `${readFileSync(erp, 'utf8')}\n`);
  await product.line(/the build failed(?:.|\n)*the build failed/);
  edit("answer(200, { status: 'again' as 'ok' })");
  await product.line(
    /^built (?=.*examples\/payment\/erp\.ts)(?=.*src\/api\/routes\/operation\.ts).* in [\d.]+ s$/m,
  );
  await product.line(/^started API, worker, example services anew in /m);
  assert.deepEqual(await statusNow(), { status: 'again' });
});

test('what is missing from dist/ is made anew by the next build', async () => {
  const missing = ['json.js', 'text.js.map'].map((file) => join(copy, 'dist', 'model', 'values', file));
  for (const file of missing) rmSync(file);
  edit("answer(200, { status: 'whole' as 'ok' })");
  await product.line(/example services anew in (?:.|\n)*^started API, worker anew in /m);
  assert.ok(missing.every((file) => existsSync(file)));
});

test('an API that does not stay up is told with the end of its log, and the next change mends it', async () => {
  writeFileSync(route, `${source}\nthrow new Error('this API ends at once');\n`);
  await product.line(/the api process does not stay up(?:.|\n)*this API ends at once/);
  edit("answer(200, { status: 'mended' as 'ok' })");
  await product.line(/ends at once(?:.|\n)*they answer/);
  assert.deepEqual(await statusNow(), { status: 'mended' });
});

test('Ctrl-C ends all of it', async () => {
  product.signal('SIGINT');
  assert.deepEqual(await product.exited, { code: 0, signal: null });
  assert.deepEqual(processesMentioning(home), []);
});
