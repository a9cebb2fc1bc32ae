import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

/** Runs a command whose output nobody reads: the pipe is closed before it writes, or `onto` takes nothing. */
async function unread(
  args: readonly string[],
  onto: 'pipe' | number = 'pipe',
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ['ignore', onto, 'pipe'] });
  child.stdout?.destroy();
  assert.ok(child.stderr !== null);
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

test('a command whose output cannot be written as a whole says so, and does not end as if it were', async (t) => {
  const bin = join(projectRoot, 'bin', 'countersign.mjs');
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  for (const args of [['help'], ['check', 'policies', '--json']]) {
    const { code, stderr } = await unread([bin, ...args], full);
    assert.deepEqual(
      [code, stderr],
      [3, 'not all of the output could be written (ENOSPC)\n'],
      args.join(' '),
    );
  }
});

test('a command whose reader leaves early does what it was told, and its exit code says what came of it', async (t) => {
  const asked: string[] = [];
  const service = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const isDecision = request.method === 'POST';
    // Of a body that the reader of the output does not wait for.
    const card = { id: 'apr_1', status: 'open', digest: 'sha256:1', sentence: 'x'.repeat(200_000) };
    const refused = { code: 'ALREADY_DECIDED', detail: 'this is decided already', status: 409 };
    response.writeHead(isDecision ? 409 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isDecision ? refused : card));
  });
  t.after(() => {
    service.closeAllConnections();
    service.close();
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const bin = join(projectRoot, 'bin', 'countersign.mjs');
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  for (const onto of ['pipe', full] as const)
    for (const word of ['approve', 'deny']) {
      const { code, stderr } = await unread(
        [bin, word, 'apr_1', '--url', url, '--key', 'k'.repeat(40)],
        onto,
      );
      assert.deepEqual([code, /^ALREADY_DECIDED/.test(stderr)], [1, true], stderr);
    }
  const decisions = asked.filter((line) => line === 'POST /v1/approvals/apr_1/decision');
  assert.equal(decisions.length, 4, asked.join());
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
