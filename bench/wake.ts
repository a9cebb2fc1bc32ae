import assert from 'node:assert/strict';
import { resolveVersion } from '../src/store/flows/flows.js';
import { getRun } from '../src/store/runs/runs.js';
import { until } from '../testing/flows.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { benchPolicies, connectGoverned, type Governed } from './governed.js';
import { describeMachine } from './machine.js';
import { rounded, spread, type Spread } from './measure.js';
import { readOptions, wholeNumber } from './options.js';

// `npm run bench:wake [-- --runs 30 --steps 10,100 --submits 1000]` measures how long the next submit of a run takes when no
// worker has the run in its cache, and what a submit leaves in Temporal's history. Prints JSON on stdout, and progress on stderr.

const values = readOptions({
  options: {
    runs: { type: 'string', default: '30' },
    steps: { type: 'string', default: '10,100' },
    submits: { type: 'string', default: '1000' },
  },
});
const sizes = {
  runs: wholeNumber('runs', values.runs),
  steps: values.steps.split(',').map((text) => wholeNumber('steps', text)),
  submits: wholeNumber('submits', values.submits),
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);
/** After ten seconds without a poll the Temporal server knows that nobody serves a worker's own queue. */
const forgottenMs = 11_000;

interface OpenRun {
  readonly run: string;
  /** Milliseconds from the submit to its answer, which says that its effect is done. */
  submit(): Promise<number>;
}

async function startOpenRun({ client, deps, ...governed }: Governed): Promise<OpenRun> {
  const flow = await resolveVersion(deps.pool, 'steps', {});
  assert.ok(flow, 'the flow `steps` is published');
  const { name, version, planHash } = flow;
  const request = { ...governed.startRequest(), flow: name, flowVersion: version, planHash };
  assert.equal((await client.start(request)).status, 'settled');
  return {
    run: request.run,
    async submit() {
      const began = performance.now();
      const sent = await client.submit({ ...governed.submitRequest(request.run), transition: 'note' });
      // When the run continues in another history, the answer may come before the effect is done.
      if (sent.status === 'executing') await until('its effect', () => isIdle(deps, request.run));
      else assert.ok(sent.status === 'answered' && sent.answer.status === 'executed', JSON.stringify(sent));
      return performance.now() - began;
    },
  };
}

async function isIdle(deps: Governed['deps'], run: string): Promise<boolean> {
  return (await getRun(deps.pool, run))?.executing === null;
}

async function revOf({ deps }: Governed, run: string): Promise<number> {
  return (await getRun(deps.pool, run))?.rev ?? 0;
}

interface History {
  readonly events: number;
  readonly bytes: number;
  /** How many histories the run has, one after the other. */
  readonly histories: number;
}

async function historyOf({ deps }: Governed, run: string): Promise<History> {
  const { workflow } = deps.temporal;
  const found = { events: 0, bytes: 0, histories: 0 };
  let runId: string | undefined = (await workflow.getHandle(run).describe()).raw.workflowExecutionInfo
    ?.firstRunId as string | undefined;
  while (runId !== undefined && runId !== '') {
    const handle = workflow.getHandle(run, runId);
    const { historyLength, historySize } = await handle.describe();
    found.events += historyLength;
    found.bytes += historySize ?? 0;
    found.histories += 1;
    const { events } = await handle.fetchHistory();
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
  }
  return found;
}

interface Woken {
  readonly step: number;
  readonly evictedMs: Spread;
  readonly cachedMs: Spread;
  readonly history: History;
}

async function measureWakes(stack: Stack, governed: Governed, step: number): Promise<Woken> {
  const runs: OpenRun[] = [];
  for (let left = sizes.runs; left > 0; left -= 1) {
    const run = await startOpenRun(governed);
    while ((await revOf(governed, run.run)) < step) await run.submit();
    runs.push(run);
  }
  const [first] = runs;
  assert.ok(first);
  const history = await historyOf(governed, first.run);
  say(`${runs.length} runs are at step ${step}; the worker is replaced`);
  await stack.worker.restart();
  await new Promise((resolve) => setTimeout(resolve, forgottenMs));
  const times: { evicted: number[]; cached: number[] } = { evicted: [], cached: [] };
  for (const kind of ['evicted', 'cached'] as const)
    for (const run of runs) times[kind].push(await run.submit());
  return { step, evictedMs: spread(times.evicted), cachedMs: spread(times.cached), history };
}

async function measureGrowth(governed: Governed): Promise<object> {
  const run = await startOpenRun(governed);
  const before = await historyOf(governed, run.run);
  for (let left = sizes.submits; left > 0; left -= 1) {
    await run.submit();
    if (left % 100 === 0) say(`${sizes.submits - left} of ${sizes.submits} submits sent to one run`);
  }
  const after = await historyOf(governed, run.run);
  return {
    submits: sizes.submits,
    ...after,
    bytesPerSubmit: rounded((after.bytes - before.bytes) / sizes.submits),
    eventsPerSubmit: rounded((after.events - before.events) / sizes.submits),
  };
}

async function main(): Promise<void> {
  say('starting Postgres, Temporal, API and worker');
  const stack = await startStack({ own: true, policies: benchPolicies });
  try {
    const governed = await connectGoverned(stack);
    const woken: Woken[] = [];
    for (const step of sizes.steps) woken.push(await measureWakes(stack, governed, step));
    const grown = await measureGrowth(governed);
    process.stdout.write(`${JSON.stringify({ machine: describeMachine(), sizes, woken, grown }, null, 2)}\n`);
    await governed.close();
  } finally {
    await stack.stop();
  }
}

await main();
process.exit(0);
