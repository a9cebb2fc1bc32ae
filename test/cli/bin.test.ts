import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectRoot } from '../../testing/paths.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

// `bin/countersign.mjs` in a project of its own, whose build makes one command that says which build it is of.

const root = temporaryFolder('bin');
const build = `
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { buildHash, say } from './lib.mjs';
mkdirSync('dist/cli', { recursive: true });
const source = JSON.stringify(readFileSync('src/main.ts', 'utf8'));
writeFileSync('dist/cli/main.js', 'console.log(JSON.stringify({ build: ' + source + ' }))');
writeFileSync('dist/.stamp', buildHash());
say('built dist/');
`;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function runHere(...args: readonly string[]): { readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [join(root, 'bin', 'countersign.mjs'), ...args], { encoding: 'utf8' });
}

function run(): { json: unknown; stderr: string } {
  const { stdout, stderr } = runHere('check');
  return { json: JSON.parse(stdout), stderr };
}

before(() => {
  for (const path of ['bin/countersign.mjs', 'scripts/lib.mjs'])
    cpSync(join(projectRoot, path), join(root, path));
  write('package.json', '{ "type": "module" }');
  write('package-lock.json', '{}');
  write('scripts/build.mjs', build);
  write('src/main.ts', 'first');
  write('node_modules/.package-lock.json', '{}');
  utimesSync(join(root, 'package-lock.json'), 0, 0);
});
after(() => rmSync(root, { recursive: true, force: true }));

test('the first command builds, and its standard output is its answer alone', () => {
  const { json, stderr } = run();
  assert.deepEqual(json, { build: 'first' });
  assert.match(stderr, /^building\nbuilt dist\/\n$/);
  assert.deepEqual(run(), { json, stderr: '' });
});

test('a command says that its build is older than the sources', () => {
  write('src/main.ts', 'second');
  const { json, stderr } = run();
  assert.deepEqual(json, { build: 'first' });
  assert.match(stderr, /^the sources have changed since `dist\/` was built.*`npm run build`/);
});

test('a command that the older build lacks a part of says to build', () => {
  const { stderr } = runHere('worker');
  assert.match(
    stderr,
    /\nthe build in `dist\/` is older than this command .+`npm run build`, then this again\n$/,
  );
  assert.doesNotMatch(stderr, /\n +at /);
});

test('a server image without sources says nothing', () => {
  rmSync(join(root, 'src'), { recursive: true });
  assert.deepEqual(run(), { json: { build: 'first' }, stderr: '' });
});
