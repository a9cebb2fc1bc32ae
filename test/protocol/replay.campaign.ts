import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makePeople } from '../../drill/caller.js';
import { startTarget, type Target } from '../../drill/target.js';
import { verifyChain } from '../../src/audit/index.js';
import { makePool, type Pool } from '../../src/db/index.js';
import { until } from '../../testing/flows.js';
import { projectRoot } from '../../testing/paths.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';
import { payment, protocolOf } from './flows.js';
import { walkAtRandom, type Prediction } from './predict.js';
import { flows, happen, stages, type Actors, type Happened } from './real.js';
import { eventKinds, type EventKind } from './world.js';

const seed = 20_261_121;
const traces = 80;
/** Of these so many with a killed worker, and so many that wait for the gate's timers. */
const killed = 8;
const timed = 16;
/** The worker dies once for so many of them. */
const dyingTogether = 4;
const longest = 10;

/** mulberry32: the same seed gives the same sample. */
function makeRandom(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const has = (one: Prediction, ...kinds: readonly EventKind[]): boolean =>
  kinds.some((kind) => one.events.includes(kind));

/** Distinct orders of three to ten events. */
function sample(): Prediction[] {
  const model = protocolOf(payment('paid'), { limits: { approvals: 3, inFlight: 1 } });
  const random = makeRandom(seed);
  const chosen = new Map<string, Prediction>();
  const take = (count: number, kinds: readonly EventKind[], without: readonly EventKind[]): void => {
    for (const end = chosen.size + count; chosen.size < end;) {
      const one = walkAtRandom(
        model,
        3 + Math.floor(random() * (longest - 2)),
        random,
        (event) => !without.includes(event),
      );
      const crashes = one.events.filter((event) => event === 'crash').length;
      if (one.events.length < 3 || crashes > 1 || (kinds.length > 0 && !has(one, ...kinds))) continue;
      chosen.set(one.events.join(), one);
    }
  };
  take(killed, ['crash'], ['deadline', 'escalate']);
  take(timed, ['deadline', 'escalate'], ['crash']);
  take(traces - killed - timed, [], ['crash', 'deadline', 'escalate']);
  return [...chosen.values()];
}

describe('traces of the walk, done to the real service', () => {
  let target: Target;
  let stack: Stack;
  let pool: Pool;
  let actors: Actors;
  let kills = 0;
  before(async () => {
    target = await startTarget();
    const file = (path: string): string => readFileSync(join(projectRoot, 'drill', 'policies', path), 'utf8');
    stack = await startStack({
      own: true,
      // Every run continues as new, again and again.
      dynamicConfig: ['limit.historyCount.suggestContinueAsNew=12'],
      env: { ERP_URL: target.url },
      policies: {
        'roles.yaml':
          'version: 1\nroles: { finance.controller: { permissions: [] }, finance.director: { permissions: [] } }\n',
        'connections.yaml': file('connections.yaml'),
        'environments.yaml': file('environments.yaml'),
        'tools/erp.yaml': file('tools/erp.yaml'),
        'flows/traces.yaml': flows(),
      },
    });
    pool = makePool({ url: stack.databaseUrl, applicationName: 'traces', max: 2 });
    actors = { stack, people: await makePeople(stack), crash };
  });
  after(async () => {
    await pool.end();
    await stack.stop();
    await target.close();
  });

  const waiting: ((at: { up: Promise<void> }) => void)[] = [];
  let risen: Promise<void> = Promise.resolve();
  /** The worker dies when so many wait for that, a little after they go on: in the midst of what they do next. */
  const crash = (): Promise<{ up: Promise<void> }> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length < dyingTogether) return;
      const delay = 40 * kills;
      kills += 1;
      risen = risen
        .then(() => new Promise((later) => setTimeout(later, delay)))
        .then(() => stack.worker.kill('SIGKILL'))
        .then(() => stack.worker.restart());
      for (const go of waiting.splice(0)) go({ up: risen });
    });

  const happened: Happened[] = [];

  const replay = async (predicted: Prediction): Promise<string | null> => {
    const { events, ...expected } = predicted;
    const trace = events.join(' ');
    for (const stage of stages) {
      const found = await happen(actors, events, stage);
      if (found.overtaken) continue;
      happened.push(found);
      const { run, said, status, approvals, decided, executed } = found;
      const effects = target.effects().filter((one) => one.run === run).length;
      try {
        assert.deepEqual({ said, status, approvals, decided, effects }, expected);
        assert.equal(executed, effects);
        const { ok, problem } = await verifyChain(pool, run);
        assert.equal(ok, true, problem);
        return null;
      } catch (error) {
        return `${trace} (${run}): ${String(error)}`;
      }
    }
    return `${trace}: the gate's time was up too soon, every time`;
  };

  const all = async (predictions: readonly Prediction[], atOnce: number): Promise<string[]> => {
    const wrong: string[] = [];
    const left = [...predictions];
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const problem = await replay(next).catch(
          (error: unknown) => `${next?.events.join(' ')}: ${String(error)}`,
        );
        if (problem !== null) wrong.push(problem);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return wrong;
  };

  const executions = async (): Promise<number> => {
    const query = encodeURIComponent('ExecutionStatus="ContinuedAsNew"');
    const path = `/api/v1/namespaces/countersign-dev/workflow-count?query=${query}`;
    const found = (await (await fetch(`${stack.temporalHttp}${path}`)).json()) as { count?: string };
    return Number(found.count ?? 0);
  };

  it(`end as the model says: of ${traces} traces, ${killed} with a killed worker, ${timed} with the gate's timers`, async (t) => {
    const sampled = sample();
    assert.equal(sampled.length, traces);
    for (const kind of eventKinds)
      assert.ok(
        sampled.some((one) => has(one, kind)),
        `no ${kind}`,
      );
    const crashing = sampled.slice(0, killed);
    const waitingOnes = sampled.slice(killed, killed + timed);
    const plain = sampled.slice(killed + timed);
    const from = performance.now();
    const wrong = await all(crashing, crashing.length);
    const between = performance.now();
    wrong.push(...(await Promise.all([all(waitingOnes, 16), all(plain, 4)])).flat());
    const seconds = (at: number): string => ((performance.now() - at) / 1000).toFixed(0);
    t.diagnostic(
      `${sampled.reduce((sum, one) => sum + one.events.length, 0)} events, ${kills} kills of the worker, ` +
        `${target.effects().length} effects, ${seconds(from)} s, ${seconds(between)} s without crashes`,
    );
    assert.deepEqual(wrong, []);
    assert.equal(happened.length, sampled.length);
    const carried = await until('runs that continued as new', async () => {
      const count = await executions();
      return count >= sampled.length / 2 ? count : null;
    });
    t.diagnostic(`${carried} times continued as new`);
  });
});
