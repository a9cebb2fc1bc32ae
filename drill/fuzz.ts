import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { describeMachine } from '../bench/machine.js';
import { rounded, runConcurrently } from '../bench/measure.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { ask, closeConnections, codeOf, outcomeOf, type FuzzAnswer } from './fuzzing/ask.js';
import { findSilentRuns } from './fuzzing/silence.js';
import { findBlocks } from '../src/processes/watch/loop-watch.js';
import { flowText, largeFlows } from './fuzzing/flows.js';
import { makeRandom, makeRequest, type Known, type Operation } from './fuzzing/requests.js';
import { startShapesTarget, type ShapesTarget } from './fuzzing/shapes.js';
import { readOptions, wholeNumber } from '../bench/options.js';

// `npm run drill:fuzz [-- --requests 200000 --seed 1]` sends requests to every route, with every role's key, against a real API
// and worker. `--shapes 0.004`: this share of the requests carries JSON or a flow that takes long for its size, or has a target
// answer with such JSON. `--shared`: uses the servers of `npm test`. Prints JSON on stdout. Exits with 1 if a process died, an
// answer was a 5xx that the contract does not name, a request got no answer, a run no longer answers, or a process blocked its
// event loop for longer than 250 ms with its own work. What a busy machine adds to a block is reported beside it.

const values = readOptions({
  options: {
    requests: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '16' },
    shapes: { type: 'string', default: '0.004' },
    shared: { type: 'boolean', default: false },
  },
});
const sizes = {
  requests: wholeNumber('requests', values.requests),
  seed: wholeNumber('seed', values.seed),
  atOnce: wholeNumber('at-once', values['at-once']),
  shapes: Number(values.shapes),
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Repeats the value that was sent two hundred times in the body that an approver is shown. */
const shown = Array.from({ length: 200 }, (_, index) => `k${index}: $.arguments.big`).join(', ');

const policiesFor = (target: ShapesTarget): Record<string, string> => ({
  'connections.yaml': `connections: { target: { kind: rest, baseUrl: '${target.url}', allowPrivate: true } }\n`,
  'roles.yaml': 'roles: { finance.controller: }\n',
  ...Object.fromEntries(largeFlows.map((flow) => [`flows/${flow}.yaml`, flowText(flow, flow)])),
  'flows/fuzz.yaml': `workflows:
  fuzz:
    owner: drill
    inputSchema: { type: object, properties: { who: { type: string, pattern: '^(o|k|x|.)+$' } } }
    initialState: open
    initialContext: { last: '' }
    states:
      open:
        transitions:
          note:
            target: open
            inputSchema: { type: object, additionalProperties: false, required: [text], properties: { text: { type: string }, amount: { type: number, multipleOf: 0.01 } } }
            guards: [{ kind: expr, expr: "$.arguments.text starts_with 'ok'" }]
            output: { last: $.arguments.text }
          pay:
            target: open
            tier: reversible
            inputSchema: { type: object, additionalProperties: false, required: [amount], properties: { text: { type: string }, amount: { type: number } } }
            gate: { roles: [finance.controller], timeout: { after: 1d } }
            executor: { kind: noop, output: { paid: true } }
          keep:
            target: open
            inputSchema: { type: object, properties: { big: {}, mode: { type: string, default: x } } }
            output: { last: $.arguments.mode, kept: $.arguments.big }
          card:
            target: open
            tier: reversible
            inputSchema: { type: object, properties: { big: {} } }
            gate: { roles: [finance.controller], timeout: { after: 1d } }
            executor: { kind: rest, connection: target, method: POST, path: /answers/none, body: { ${shown} } }
          call:
            target: open
            inputSchema: { type: object, required: [shape], properties: { shape: { type: string } } }
            executor: { kind: rest, connection: target, method: GET, path: '/answers/{$.arguments.shape}' }
            output: { answered: $.output }
          end: { target: done, actor: human }
      done: { terminal: true }
`,
});

const openApi = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

/** Requests that make runs and move them on are sent more often. */
const frequentPaths = /\/(?:runs|transitions\/\{\w+\}|decision|check)$/;

async function operationsOf(stack: Stack): Promise<Operation[]> {
  const { body } = await stack.fetchAs(null, 'GET', '/openapi.json');
  return Object.entries(openApi.parse(body).paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, declared]) => {
      const hasBody = typeof declared === 'object' && declared !== null && 'requestBody' in declared;
      const operation = { method: method.toUpperCase(), path, hasBody };
      return Array.from({ length: frequentPaths.test(path) ? 6 : 1 }, () => operation);
    }),
  );
}

/** How many ids of a kind are remembered. */
const mostIds = 400;

function learn(known: Known, { status, text }: FuzzAnswer): void {
  if (status >= 300 || status < 200) return;
  const add = (list: string[], pattern: RegExp): void => {
    for (const [id] of text.slice(0, 20_000).matchAll(pattern))
      if (list.length < mostIds && !list.includes(id)) list.push(id);
  };
  add(known.runs, /run_[0-9a-f]{8,}/g);
  add(known.approvals, /apr_[0-9a-f]{8,}/g);
  add(known.actions, /act_[0-9a-f]{8,}/g);
  add(known.digests, /sha256:[0-9a-f]{64}/g);
}

const documented = new Set([
  '502 EXECUTOR_FAILED',
  '503 AUDIT_UNAVAILABLE',
  '503 ENGINE_UNAVAILABLE',
  '503 none',
]);

interface Findings {
  readonly outcomes: Record<string, number>;
  readonly fiveHundreds: object[];
  readonly unanswered: object[];
  readonly sent: Sent[];
}

async function sendAll(stack: Stack, operations: readonly Operation[], known: Known): Promise<Findings> {
  const found: Findings = { outcomes: {}, fiveHundreds: [], unanswered: [], sent: [] };
  const roles = [...Object.keys(stack.keys), 'nobody'];
  const { requests, seed, atOnce, shapes } = sizes;
  let next = 0;
  const seconds = await runConcurrently(requests, atOnce, async () => {
    const index = next;
    next += 1;
    const request = makeRequest(makeRandom(seed * 1_000_003 + index), operations, known, roles, shapes);
    const from = Date.now();
    const answer = await ask(stack, request);
    const outcome = outcomeOf(request, answer);
    found.outcomes[outcome] = (found.outcomes[outcome] ?? 0) + 1;
    const about = {
      index,
      by: request.by,
      method: request.method,
      path: request.path.slice(0, 200),
      body: request.body?.toString('utf8').slice(0, 500),
    };
    if (answer.status >= 500 && !documented.has(`${answer.status} ${codeOf(answer.text)}`))
      found.fiveHundreds.push({ ...about, status: answer.status, text: answer.text.slice(0, 300) });
    if (outcome === 'unanswered') found.unanswered.push({ ...about, text: answer.text });
    found.sent.push({
      ...{ index, from, until: Date.now(), bytes: request.body?.length ?? 0, status: answer.status },
      what: `${request.method} ${request.path.slice(0, 120)}`,
      begins: request.body?.toString('utf8', 0, 60) ?? '',
    });
    learn(known, answer);
    if (index % 5_000 === 4_999) say(`${index + 1} requests sent`);
  });
  say(`${requests} requests in ${rounded(seconds)} s`);
  return found;
}

const promisedMs = 250;

interface Sent {
  readonly index: number;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly until: number;
  readonly bytes: number;
  readonly status: number;
  readonly what: string;
  readonly begins: string;
}

interface Blocked {
  readonly ms: number;
  readonly workedMs: number;
  /** The blocks with the most own work, each with the largest requests that were under way or had ended in the minute before. */
  readonly longest: readonly object[];
}

/**
 * Finds the longest block of an event loop, and the longest time that the process itself worked in a block: on a busy machine
 * the rest of a block is the work of other processes.
 */
function findLongestBlock(stack: Stack, name: 'api' | 'worker', sent: readonly Sent[]): Blocked {
  const found = findBlocks(readFileSync(join(stack.home, `${name}.log`), 'utf8'));
  const longest = found.toSorted((a, b) => b.workedMs - a.workedMs).slice(0, 10);
  return {
    ms: Math.max(0, ...found.map(({ ms }) => ms)),
    workedMs: longest[0]?.workedMs ?? 0,
    longest: longest.map((block) => ({
      ...block,
      beside: requestsUnderWay(sent, block.until - block.ms, block.until),
    })),
  };
}

/** A worker may still work for a request after its answer. */
const afterMs = 60_000;

function requestsUnderWay(sent: readonly Sent[], from: number, until: number): readonly Sent[] {
  const near = sent.filter(
    (request) =>
      request.status > 0 && request.status < 300 && request.from <= until && request.until >= from - afterMs,
  );
  return near.toSorted((a, b) => b.bytes - a.bytes).slice(0, 8);
}

async function main(): Promise<boolean> {
  say('starting Postgres, Temporal, API and worker');
  const target = await startShapesTarget();
  const stack = await startStack({ own: !values.shared, policies: policiesFor(target) });
  try {
    const pids = { api: stack.api.pid, worker: stack.worker.pid };
    const operations = await operationsOf(stack);
    const known: Known = { runs: [], approvals: [], digests: [], actions: [] };
    const found = await sendAll(stack, operations, known);
    const deaths = { api: stack.api.running ? 0 : 1, worker: stack.worker.running ? 0 : 1 };
    const silent = await findSilentRuns(stack, known.runs);
    const blocks = {
      api: findLongestBlock(stack, 'api', found.sent),
      worker: findLongestBlock(stack, 'worker', found.sent),
    };
    const alive = deaths.api + deaths.worker === 0 && stack.api.running && stack.worker.running;
    const answers = found.fiveHundreds.length + found.unanswered.length + silent.length === 0;
    const ok = alive && answers && blocks.api.workedMs <= promisedMs && blocks.worker.workedMs <= promisedMs;
    const report = {
      machine: describeMachine(),
      ...{
        requests: sizes.requests,
        seed: sizes.seed,
        operations: operations.length,
        runs: known.runs.length,
      },
      ...{ outcomes: found.outcomes, pids, deaths, silentRuns: silent.slice(0, 10), blocked: blocks },
      undocumented: found.fiveHundreds.length,
      unanswered: found.unanswered.length,
      ok,
      examples: [...found.fiveHundreds.slice(0, 10), ...found.unanswered.slice(0, 10)],
      logs: ok ? '' : stack.logs(),
    };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return ok;
  } finally {
    closeConnections();
    target.close();
    await stack.stop();
  }
}

process.exit((await main()) ? 0 : 1);
