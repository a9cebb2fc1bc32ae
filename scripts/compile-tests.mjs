// Compiles test files and what they import into .compiled/, so that a test process reads a few files instead of translating
// hundreds.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './lib.mjs';

/** A starter looks for its thread beside itself. Both are compiled, so that no thread begins by translating sources. */
const threads = [
  { starter: 'src/policy/checker/checker.ts', thread: 'src/policy/checker/checker-thread.ts' },
];

/** By folder: the programs that the tests below it run as processes (`testing/programs.ts`). */
const programs = {
  'test/drill/': ['drill/kill.ts', 'drill/races.ts', 'drill/fuzz.ts'],
  'test/executors/': ['caller', 'long-names', 'tools'].map((name) => `test/executors/fixtures/${name}.ts`),
  'test/notify/': ['test/notify/process.ts'],
};

/**
 * Compiles these test files (paths from the root) into a folder of this process, which `remove` removes. Gives the module of each
 * file, and the sources that the module is made of. `import.meta.url` of a module is the address of its source, so that a test
 * finds the files beside its source.
 */
export async function compileTests(files) {
  const { build } = await import('esbuild');
  const folder = join('.compiled', String(process.pid));
  const remove = () => rmSync(join(root, folder), { recursive: true, force: true });
  remove();
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [
      ...files,
      ...threads.map(({ thread }) => thread).filter((path) => existsSync(join(root, path))),
      ...Object.entries(programs).flatMap(([prefix, paths]) =>
        files.some((file) => file.startsWith(prefix)) ? paths : [],
      ),
    ],
    outdir: join(root, folder),
    outbase: root,
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
    keepNames: true,
    plugins: [keepAddresses(folder)],
  });
  const tests = Object.entries(metafile.outputs)
    .filter(([, { entryPoint }]) => files.includes(entryPoint))
    .map(([path, { entryPoint }]) => ({ file: entryPoint, path, sources: sourcesOf(metafile, path) }));
  return { folder, tests, remove };
}

/** The sources of a module and of all that it imports. */
function sourcesOf({ outputs }, path, seen = new Set()) {
  if (seen.has(path)) return [];
  seen.add(path);
  const { inputs, imports } = outputs[path];
  const chunks = imports.filter(({ external }) => external !== true);
  return [...Object.keys(inputs), ...chunks.flatMap((chunk) => sourcesOf({ outputs }, chunk.path, seen))];
}

const keepAddresses = (folder) => ({
  name: 'keep-addresses',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta')) return undefined;
      const startsThread = threads.some(({ starter }) => join(root, starter) === path);
      const address = startsThread ? join(root, folder, `${relative(root, path).slice(0, -3)}.js`) : path;
      const contents = text
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(address).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)));
      return { contents, loader: 'ts' };
    });
  },
});
