// A target that hands our secret back, in whichever part of its answer and however it is cut: nobody reads it, over each kind
// of connection.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { ExecutorResult } from '../../../src/executors/types.js';
import type { Json } from '../../../src/model/values/json.js';
import { makeTarget, type Target, type TargetAnswer } from '../../activities/execute/target.js';
import { askWithToken, childWithToken, contextWith, token } from '../world.js';

let target: Target;
before(async () => {
  target = await makeTarget();
});
after(async () => {
  await closeExecutors();
  await target.close();
});

const half = Math.floor(token.length / 2);
const halves = [token.slice(0, half), token.slice(half)] as const;

const ask = (answer: TargetAnswer): Promise<ExecutorResult> => askWithToken(target, answer);
const child = childWithToken;
const run = (script: string): Promise<ExecutorResult> =>
  runCall(
    { kind: 'cli', connection: 'c', args: [], stdin: null },
    contextWith({ kind: 'cli', ...child(script) }),
  );
const overStdio = (result: string): Promise<ExecutorResult> =>
  runCall(
    { kind: 'mcp', connection: 'c', tool: 't', arguments: {} },
    contextWith({
      kind: 'mcp',
      transport: {
        kind: 'stdio',
        ...child(`
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (more) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...more }) + '\\n');
  if (method === 'initialize') say({ result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } });
  else if (method === 'tools/call') say(${result});
});`),
      },
    }),
  );
const initialized = {
  body: (id: Json) =>
    JSON.stringify({
      ...{ jsonrpc: '2.0', id },
      result: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '1' },
      },
    }),
};
const asEvents = (result: string): Promise<ExecutorResult> => {
  const body = (id: Json): string =>
    `event: message\ndata: {"jsonrpc":"2.0","id":${JSON.stringify(id)},\ndata: "result":${result}}\n\n`;
  target.say(initialized, 202, { headers: { 'content-type': 'text/event-stream' }, body });
  const transport = {
    kind: 'http',
    url: `${target.url}/mcp`,
    allowPrivate: true,
    headers: { authorization: 'env://TEST_TOKEN' },
  } as const;
  return runCall(
    { kind: 'mcp', connection: 'c', tool: 't', arguments: {} },
    contextWith({ kind: 'mcp', transport }),
  );
};

/** Neither of its halves, and no base64 of it. */
function assertNothingOf(result: ExecutorResult): void {
  const said = JSON.stringify(result);
  assert.match(said, /\[redacted\]/);
  for (const part of [...halves, Buffer.from(token).toString('base64').slice(4, 20)])
    assert.ok(!said.includes(part), `\`${part}\` in ${said.slice(0, 500)}`);
}

const json = { 'content-type': 'application/json' };
const text = { 'content-type': 'text/plain' };
const dataUrl = `data:text/plain;base64,${Buffer.from(`Authorization: "${token}"`).toString('base64')}`;
const blocks = JSON.stringify({ content: halves.map((half) => ({ type: 'text', text: half })) });
const failing = JSON.stringify({
  isError: true,
  content: halves.map((half) => ({ type: 'text', text: half })),
});
const ways: readonly (readonly [string, () => Promise<ExecutorResult>])[] = [
  ['a name in JSON', () => ask({ headers: json, body: JSON.stringify({ seen: { [token]: 1 } }) })],
  [
    'a name in the JSON of a failure',
    () => ask({ status: 400, headers: json, body: JSON.stringify({ [token]: 1 }) }),
  ],
  ['lines of JSON', () => ask({ headers: json, body: JSON.stringify({ lines: halves }) })],
  ['a data URL in JSON', () => ask({ headers: json, body: JSON.stringify({ image: dataUrl }) })],
  [
    'a data URL in a page',
    () => ask({ headers: { 'content-type': 'text/html' }, body: `<img src="${dataUrl}">` }),
  ],
  ['a header', () => ask({ headers: { 'x-echo': `got ${token}` } })],
  [
    'a header of a failure',
    () => ask({ status: 403, headers: { 'www-authenticate': `Basic realm="${token}"` } }),
  ],
  ['a name of a header', () => ask({ headers: { [`x-${token}`.toLowerCase()]: '1' } })],
  [
    'a stream of events',
    () =>
      ask({
        headers: { 'content-type': 'text/event-stream' },
        body: `data: ${halves[0]}\n\ndata: ${halves[1]}\n\n`,
      }),
  ],
  [
    'a page with long entities',
    () =>
      ask({
        headers: text,
        body: [...token]
          .map((character) => `&#x${'0'.repeat(20)}${character.charCodeAt(0).toString(16)};`)
          .join(''),
      }),
  ],
  [
    'an output in pieces',
    () =>
      run(
        `process.stdout.write(process.env.TOKEN.slice(0, ${half}), () => setImmediate(() => process.stdout.write(process.env.TOKEN.slice(${half}))))`,
      ),
  ],
  [
    'errors in pieces',
    () =>
      run(
        `process.stderr.write(process.env.TOKEN.slice(0, ${half}), () => setImmediate(() => process.stderr.write(process.env.TOKEN.slice(${half}), () => process.exit(1))))`,
      ),
  ],
  ['names in the output of a command', () => run('console.log(JSON.stringify({ [process.env.TOKEN]: 1 }))')],
  ['blocks of an MCP result', () => overStdio(`{ result: ${blocks} }`)],
  ['blocks of an MCP failure', () => overStdio(`{ result: ${failing} }`)],
  [
    'an error of an MCP server',
    () => overStdio(`{ error: { code: -32000, message: 'bad ' + process.env.TOKEN } }`),
  ],
  [
    'names in an MCP result',
    () =>
      overStdio(
        '{ result: { content: [], structuredContent: { [process.env.TOKEN]: [process.env.TOKEN] } } }',
      ),
  ],
  ['blocks of an MCP result that comes as events', () => asEvents(blocks)],
];

describe('a secret that comes back is masked', () => {
  for (const [where, way] of ways) test(`in ${where}`, async () => assertNothingOf(await way()));
});
