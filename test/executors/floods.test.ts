// A server that writes without end holds up nobody but its own call, and that is told what is known of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runCall } from '../../src/executors/index.js';
import type { Call, ExecutorResult } from '../../src/executors/types.js';
import { makeTarget, type Target } from '../activities/target.js';
import { contextWith } from './world.js';

let target: Target;
before(async () => {
  target = await makeTarget();
});
after(() => target.close());

const call: Call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} };
const overHttp = (body: string): Promise<ExecutorResult> => {
  const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
  target.say({ body: JSON.stringify({ jsonrpc: '2.0', id: 0, result }) }, 202, {
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

const floods: readonly (readonly [string, () => Promise<ExecutorResult>, RegExp])[] = [
  ['events over HTTP', () => overHttp('data:{}\n\n'.repeat(420_000)), /over 10000 events/],
  ['lines over HTTP', () => overHttp(`${'data:\n'.repeat(690_000)}\n\n`), /over 10000 events/],
];
for (const [what, flood, says] of floods)
  test(`a flood of ${what} ends its call, whose outcome is not known, and lets others go on`, async () => {
    const work = flood();
    const longest = await longestWait(work);
    const result = await work;
    assert.ok(result.status === 'failed', JSON.stringify(result));
    assert.equal(result.errorClass, 'unknown_outcome', result.message);
    assert.match(result.message, says);
    assert.ok(longest < 1_500, `others waited ${longest} ms`);
  });
