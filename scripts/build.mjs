// src/**/*.ts and examples/**/*.ts -> dist/, file by file, and the prebuilt workflow bundle beside them.
import { cpSync, mkdirSync, rmSync, renameSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { buildHash, isBuilt, root, say, sourceFiles, withLock } from './lib.mjs';

const dist = join(root, 'dist');
// One fixed name under the lock, so that the same sources give the same workflow bundle, byte for byte.
const building = join(root, 'dist.building');
const retired = join(root, 'dist.retired');

await withLock(`build:${root}`, 'waiting for another build', undefined, async () => {
  const hash = buildHash();
  if (isBuilt(hash)) return;
  rmSync(building, { recursive: true, force: true });
  await transpile();
  copyAssets();
  await bundleWorkflows();
  writeFileSync(join(building, '.stamp'), hash);
  swap();
});

function target(source) {
  const path = relative(root, source);
  return join(building, path.startsWith('src/') ? path.slice('src/'.length) : path);
}

async function transpile() {
  const { build } = await import('esbuild');
  const entryPoints = sourceFiles()
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => ({ in: path, out: relative(building, target(path)).replace(/\.ts$/, '') }));
  await build({
    entryPoints,
    outdir: building,
    bundle: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
  });
}

function copyAssets() {
  for (const path of sourceFiles().filter((each) => !each.endsWith('.ts'))) {
    mkdirSync(dirname(target(path)), { recursive: true });
    cpSync(path, target(path));
  }
}

async function bundleWorkflows() {
  const workflows = join(building, 'workflows');
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(workflows, 'index.js'),
    payloadConverterPath: join(workflows, 'payload-converter.js'),
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
