import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

/** Runs a command whose output nobody reads: the pipe is closed before it writes. */
async function unread(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

test('a command whose reader has gone ends without a word', async () => {
  const bin = join(projectRoot, 'bin', 'countersign.mjs');
  for (const args of [['help'], ['check', 'policies'], ['check', 'policies', '--json']])
    assert.deepEqual(await unread([bin, ...args]), { code: 0, stderr: '' }, args.join(' '));
});

test('what starts the product stops when the reader of its output has gone', async () => {
  const lib = join(projectRoot, 'scripts', 'lib.mjs');
  const program = `
    const { say, stopSignal } = await import(${JSON.stringify(lib)});
    const signal = stopSignal();
    const alive = setInterval(() => say('line'), 5);
    signal.addEventListener('abort', () => { clearInterval(alive); process.exitCode = 7; });`;
  assert.deepEqual(await unread(['--input-type=module', '-e', program]), { code: 7, stderr: '' });
});
