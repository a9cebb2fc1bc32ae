// A server that writes without end holds up nobody but its own call, and that is told what is known of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import { toReadableMessage } from '../../../src/executors/mcp/message.js';
import type { Call, ExecutorResult } from '../../../src/executors/types.js';
import { makeTarget, type Target } from '../../activities/execute/target.js';
import { contextWith } from '../world.js';
import { inCampaignsUnless } from '../../../testing/samples.js';

let target: Target;
before(async () => {
  target = await makeTarget();
});
after(async () => {
  await closeExecutors();
  await target.close();
});

const call: Call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} };
const script = `
const { writeSync } = require('node:fs');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
  else if (method === 'tools/call') for (;;) { try { writeSync(1, process.env.FLOOD.repeat(500)); } catch (error) { if (error.code !== 'EAGAIN') process.exit(1); } }
});`;
const overStdio = (FLOOD: string): Promise<ExecutorResult> =>
  runCall(
    call,
    contextWith({
      kind: 'mcp',
      transport: {
        ...{ kind: 'stdio', command: process.execPath, args: ['-e', script] },
        ...{ env: { FLOOD }, workingDirectory: null },
      },
    }),
  );
const overHttp = (body: string): Promise<ExecutorResult> => {
  const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
  target.say({ body: (id) => JSON.stringify({ jsonrpc: '2.0', id, result }) }, 202, {
    headers: { 'content-type': 'text/event-stream' },
    body,
  });
  const transport = { kind: 'http', url: `${target.url}/mcp`, allowPrivate: true, headers: {} } as const;
  return runCall(call, contextWith({ kind: 'mcp', transport }));
};

/** The longest that a timer of everybody else had to wait meanwhile. */
async function longestWait(work: Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await work.finally(() => clearInterval(timer));
  return Math.max(longest, performance.now() - last);
}

const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}';
const floods: readonly (readonly [string, () => Promise<ExecutorResult>, RegExp])[] = [
  ['lines without anything over stdio', () => overStdio('\n'.repeat(100)), /over \d+ bytes for one call/],
  ['small messages over stdio', () => overStdio(`${note}\n`), /over 10000 messages/],
  ['events over HTTP', () => overHttp('data:{}\n\n'.repeat(420_000)), /over 10000 events/],
  ['lines over HTTP', () => overHttp(`${'data:\n'.repeat(690_000)}\n\n`), /over 10000 events/],
];
for (const [what, flood, says] of floods)
  test(
    `a flood of ${what} ends its call, whose outcome is not known, and lets others go on`,
    inCampaignsUnless(what === 'small messages over stdio' || what === 'events over HTTP'),
    async () => {
      toReadableMessage(note);
      const work = flood();
      const longest = await longestWait(work);
      const result = await work;
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.equal(result.errorClass, 'unknown_outcome', result.message);
      assert.match(result.message, says);
      assert.ok(longest < 1_500, `others waited ${longest} ms`);
    },
  );
