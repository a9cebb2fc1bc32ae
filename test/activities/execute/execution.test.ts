import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { attemptFailed, execute } from '../../../src/activities/execute/execute.js';
import { makeDeps, type ActivityDeps } from '../../../src/activities/deps.js';
import type { FloorEntry } from '../../../src/model/policy-set.js';
import { listAttempts } from '../../../src/store/runs/actions.js';
import {
  aroundExecution,
  bell,
  controller,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { makeTarget, type Target, type TargetAnswer } from './target.js';

// What is recorded of an effect, and what is called: a real Postgres, and a target that answers as it is told.

const post = (connection: string, more = ''): string =>
  `{ kind: rest, connection: ${connection}, method: POST, path: '/${connection}', idempotencyKey: true${more} }`;

const tries = '{ timeout: 200ms, retry: { maxAttempts: 3 } }';
const get = (more: string, connection = 'main'): string =>
  `{ kind: rest, connection: ${connection}, method: GET, path: /main, ${more} }`;

const policies = (url: string): Readonly<Record<string, string>> => ({
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': `
connections:
  main: { kind: rest, baseUrl: '${url}', allowPrivate: true }
  second: { kind: rest, baseUrl: '${url}', allowPrivate: true }
  third: { kind: rest, baseUrl: '${url}', allowPrivate: true }
  putting: { kind: rest, baseUrl: '${url}', allowPrivate: true, headers: { X-HTTP-Method-Override: PUT } }
  named: { kind: rest, baseUrl: 'env://COUNTERSIGN_TEST_ADDRESS', allowPrivate: true }
`,
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    timeout: 1h
    initialState: a
    states:
      a:
        transitions:
          'réserver ✓': { target: a, tier: reversible, executor: ${post('main')} }
          'r%C3%A9server ✓': { target: a, tier: reversible, executor: ${post('main')} }
          given: { target: a, tier: reversible, inputSchema: { type: object, properties: { n: { type: number } } }, executor: ${post('main')} }
          once: { target: a, tier: reversible, executor: ${post('main')} }
          brief: { target: a, tier: reversible, executor: ${post('main')}, reliability: { timeout: 200ms } }
          tries: { target: a, tier: reversible, executor: ${post('main')}, reliability: { timeout: 200ms, retry: { maxAttempts: 3 } } }
          reads: { target: a, tier: read_only, executor: { kind: rest, connection: main, method: GET, path: /main }, reliability: { timeout: 200ms, retry: { maxAttempts: 3 } } }
          headed: { target: a, executor: ${get('headers: { X-HTTP-Method-Override: DELETE }')}, reliability: ${tries} }
          queried: { target: a, executor: ${get('query: { _method: DELETE }')}, reliability: ${tries} }
          shared: { target: a, executor: ${get('query: {}', 'putting')}, reliability: ${tries} }
          declared: { target: a, tier: reversible, executor: ${get('query: {}')}, reliability: ${tries} }
          plain: { target: a, executor: ${get('query: {}')}, reliability: ${tries} }
          entering: { target: looked }
          enters: { target: entered }
          backed:
            target: done
            tier: reversible
            gate: { roles: [finance.controller] }
            executor: ${post('main')}
            reliability:
              timeout: 200ms
              retry: { maxAttempts: 4 }
              fallback: { strategy: first_success, executors: [${post('second')}, ${post('third')}] }
          moves: { target: done, tier: reversible, gate: { roles: [finance.controller] }, executor: ${post('named')} }
          bare: { target: a, tier: reversible, executor: { kind: rest, connection: main, method: POST, path: /main }, reliability: { retry: { maxAttempts: 2 } } }
          waits: { target: a, tier: reversible, executor: ${post('main')}, reliability: { retry: { maxAttempts: 3, maxDelayMs: 86400000 } } }
      looked:
        onEnter: { tier: read_only, readOnlyBecause: a search, executor: { kind: rest, connection: main, method: POST, path: /main }, reliability: ${tries} }
        transitions: { go: { target: done } }
      entered:
        onEnter: { tier: reversible, executor: ${post('main')}, reliability: { retry: { maxAttempts: 3, maxDelayMs: 86400000 } } }
        transitions: { go: { target: done } }
      done: { terminal: true }
  brief:
    owner: team
    timeout: 1m
    initialState: a
    states:
      a:
        transitions:
          waits: { target: done, tier: reversible, executor: ${post('main')}, reliability: { retry: { maxAttempts: 3, maxDelayMs: 86400000 } } }
      done: { terminal: true }
`,
});

let target: Target;
let governed: Governed;
before(async () => {
  target = await makeTarget();
  governed = await makeGoverned(policies(target.url));
});
after(async () => {
  await governed.stop();
  await target.close();
});

const called = (): string[] => target.requests.map(({ path }) => path.slice(1));
const keys = (): unknown[] => [...new Set(target.requests.map(({ headers }) => headers['idempotency-key']))];

async function approve(run: Handle): Promise<void> {
  const [open] = run.state.approvals;
  assert.ok(open !== undefined);
  await run.decide(controller, open.id, 'approve');
}

/** What the caller is told of a transition whose target says these. */
async function outcomeOf(
  transition: string,
  ...says: readonly TargetAnswer[]
): Promise<readonly [unknown, Handle]> {
  target.say(...says);
  const run = await governed.start('f');
  await run.submit(starter, transition);
  const said = await run.execute();
  return [said?.status === 'refused' ? said.errorClass : said?.status, run];
}

describe('after an attempt whose outcome nobody knows', () => {
  for (const refusal of [409, 401, 422, 302])
    for (const lost of ['hang', 'drop', 504, 502, 500, 503] as const)
      it(`${lost} and then ${refusal} is an unknown outcome`, async () => {
        const [errorClass, run] = await outcomeOf('tries', lost, refusal);
        assert.equal(errorClass, 'unknown_outcome');
        assert.equal(run.state.status, 'stuck');
        assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
        assert.equal(target.requests.length, 2);
        assert.ok((await run.records()).some((record) => record.type === 'executor.unknown'));
      });

  for (const last of [429, 503, 'drop'] as const)
    it(`${last} is an unknown outcome when nothing follows, and keeps its class until then`, async () => {
      const [errorClass, run] = await outcomeOf('tries', 'hang', 503, last);
      assert.equal(errorClass, 'unknown_outcome');
      assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
      assert.equal(target.requests.length, 3);
      const classes = (await run.records())
        .filter((record) => record.type === 'executor.failed' || record.type === 'executor.unknown')
        .map((record) => record.data['errorClass']);
      assert.deepEqual(classes, ['timeout', 'transient', 'unknown_outcome']);
    });

  it('success is success', async () => {
    const [status] = await outcomeOf('tries', 'hang', 200);
    assert.equal(status, 'executed');
  });

  it('a refusal of the resubmission, under the same key, is an unknown outcome too', async () => {
    const [errorClass, run] = await outcomeOf('brief', 'hang', 409);
    assert.equal(errorClass, 'timeout');
    await run.submit(starter, 'brief');
    const said = await run.execute();
    assert.equal(said?.status === 'refused' ? said.errorClass : null, 'unknown_outcome');
    assert.equal(keys().length, 1);
  });

  it('a refusal of the resubmission after 503, under the same key, is an unknown outcome, and 503 again is 503', async () => {
    const [errorClass, run] = await outcomeOf('brief', 503, 503, 409);
    assert.equal(errorClass, 'transient');
    const again = async (): Promise<unknown> => {
      await run.submit(starter, 'brief');
      const said = await run.execute();
      return said?.status === 'refused' ? said.errorClass : null;
    };
    assert.deepEqual([await again(), await again()], ['transient', 'unknown_outcome']);
    assert.equal(keys().length, 1);
    assert.equal((await outcomeOf('tries', 503, 500, 503))[0], 'transient');
  });

  it('503 without a key is tried again where its author said so, and a refusal after it is an unknown outcome', async () => {
    assert.equal((await outcomeOf('bare', 503, 200))[0], 'executed');
    assert.equal((await outcomeOf('bare', 503, 503))[0], 'transient');
    assert.equal((await outcomeOf('bare', 500, 409))[0], 'unknown_outcome');
    assert.equal((await outcomeOf('bare', 409))[0], 'permanent');
    for (const redirect of [301, 302, 303]) {
      const [errorClass, run] = await outcomeOf('bare', redirect, 200);
      assert.deepEqual([errorClass, run.state.status], ['unknown_outcome', 'stuck']);
      assert.equal(target.requests.length, 1);
    }
    assert.equal((await outcomeOf('bare', 307))[0], 'permanent');
  });

  it('“still in progress” is asked again, for as long as the target says', async () => {
    const busy = { status: 409, headers: { 'retry-after': '0' } };
    const [status] = await outcomeOf('tries', 'hang', busy, 200);
    assert.equal(status, 'executed');
    assert.equal(target.requests.length, 3);
    assert.equal((await outcomeOf('tries', 'hang', busy, busy))[0], 'unknown_outcome');
  });

  it('a refusal of something else is a refusal', async () => {
    const [, run] = await outcomeOf('brief', 'hang', 409);
    await run.submit(starter, 'once');
    const said = await run.execute();
    assert.equal(said?.status === 'refused' ? said.errorClass : null, 'permanent');
  });

  it('a refusal is a refusal where nothing was changed, or where the target said that nothing was', async () => {
    assert.equal((await outcomeOf('reads', 'hang', 404))[0], 'permanent');
    assert.equal((await outcomeOf('tries', 429, 401))[0], 'auth');
  });

  it('nothing of it is called by itself again, the fallbacks included', async () => {
    target.say('hang', 422);
    const run = await governed.start('f');
    await run.submit(starter, 'backed');
    await approve(run);
    await run.execute();
    assert.deepEqual(called(), ['main', 'main']);
    assert.equal(run.state.status, 'stuck');
  });
});

describe('an attempt that will have no outcome', () => {
  /** Its call was made, and our own code could not write what it answered. */
  const open = async (): Promise<Handle> => {
    const { deps } = governed;
    const put: typeof deps.payloads.put = (tx, of, role, ...given) =>
      role === 'output' ? Promise.reject(new Error('no room')) : deps.payloads.put(tx, of, role, ...given);
    target.say(200, 409);
    const run = await governed.start('f', {}, { ...deps, payloads: { ...deps.payloads, put } });
    await run.submit(starter, 'once');
    await assert.rejects(run.execute(), /no room/);
    return run;
  };
  const ends: readonly (readonly [string, (run: Handle) => Promise<unknown>, string])[] = [
    ['is given up', (run) => run.tryStep({ gaveUp: 'a bug' }), 'STEP_FAILED'],
    [
      'tells of two pasts',
      (run) => governed.database.asSuperuser(`update run set doc = doc || ' ' where id = $1`, [run.id]),
      'HISTORY_FORKED',
    ],
  ];
  for (const [how, end, code] of ends)
    it(`is unknown, on record, when its run ${how}; and so is what is refused under its key later`, async () => {
      const run = await open();
      const action = run.state.executing?.action.id ?? '';
      await end(run);
      await run.take({ kind: 'look' });
      assert.deepEqual([run.state.status, run.state.problem?.code], ['stuck', code]);
      const [attempt] = await listAttempts(governed.deps.pool, action);
      assert.deepEqual([attempt?.outcome, attempt?.effectPossible], ['unknown', true]);
      const own = (await run.records()).filter(({ type }) => type.startsWith('executor.'));
      assert.deepEqual(
        own.map(({ type }) => type),
        ['executor.started', 'executor.unknown'],
      );
      await run.take(bell(await run.ask(operator, { kind: 'retry' })));
      await run.execute();
      assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
      assert.deepEqual([called().length, keys().length], [2, 1]);
    });

  for (const code of ['40001', '40P01', '55P03', '57P01'])
    it(`is not one whose success the store took at the second time only (${code}): the write is repeated, not the call`, async () => {
      const { deps } = governed;
      let left = 1;
      const put: typeof deps.payloads.put = (tx, of, role, ...given) => {
        if (role !== 'output' || left === 0) return deps.payloads.put(tx, of, role, ...given);
        left -= 1;
        return Promise.reject(Object.assign(new Error('not now'), { code }));
      };
      target.say(200);
      const run = await governed.start('f', {}, { ...deps, payloads: { ...deps.payloads, put } });
      await run.submit(starter, 'once');
      assert.equal((await run.execute())?.status, 'executed');
      assert.deepEqual([left, called().length], [0, 1]);
    });

  it('is not one whose policies the store was too slow to give when it was written: the write is repeated', async () => {
    const { deps } = governed;
    const asked = { times: 0, failing: 0 };
    const policySet: typeof deps.policySet = async (q) => {
      const found = await deps.policySet(q);
      asked.times += 1;
      // As a statement of the transaction, which has ended with it.
      if (asked.times === asked.failing)
        await q.query(`do $$ begin raise exception 'too slow' using errcode = '57014'; end $$`);
      return found;
    };
    // Read anew each time, as by a worker whose memory is full.
    const readValue: typeof deps.readValue = (q, held) =>
      makeDeps(deps.pool, deps.payloads, deps.serviceChain, assert.fail).readValue(q, held);
    target.say(200);
    const run = await governed.start('f', {}, { ...deps, policySet, readValue });
    await run.submit(starter, 'given', { n: 5 });
    Object.assign(asked, { times: 0, failing: 2 });
    assert.equal((await run.execute())?.status, 'executed');
    assert.deepEqual([asked.times, called().length], [3, 1]);
  });

  it('of which another follows is written and waited for whatever its policies have become', async () => {
    const { deps } = governed;
    let isBroken = false;
    const policySet: typeof deps.policySet = (q) =>
      isBroken ? Promise.reject(new Error('these policies cannot be read')) : deps.policySet(q);
    target.say(() => {
      isBroken = true;
      return Promise.resolve(503);
    });
    const run = await governed.start('f', {}, { ...deps, policySet });
    await run.submit(starter, 'waits');
    const action = run.state.executing?.action.id ?? '';
    const tried = (): Promise<unknown> =>
      execute({ ...deps, policySet }, { run: run.id, action }, aroundExecution());
    await assert.rejects(tried(), { type: attemptFailed });
    const [attempt] = await listAttempts(deps.pool, action);
    assert.deepEqual([attempt?.outcome, attempt?.errorClass], ['failed', 'transient']);
    await deps.pool.query(
      `update execution_attempt set next_at = now() + interval '1 hour' where action = $1`,
      [action],
    );
    await assert.rejects(tried(), { type: attemptFailed });
    assert.equal(called().length, 1);
  });

  it('has an end on record where it was called off before its next one', async () => {
    target.say({ status: 429, headers: { 'retry-after': '120' } });
    const run = await governed.start('f');
    await run.submit(starter, 'waits');
    await assert.rejects(run.execute());
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    await run.execute();
    assert.equal(run.state.status, 'cancelled');
    const own = (await run.records()).filter(({ type }) => type.startsWith('executor.'));
    assert.deepEqual(
      own.map(({ type }) => type),
      ['executor.started', 'executor.failed', 'executor.retrying', 'executor.failed'],
    );
    assert.match(String(own.at(-1)?.data['message']), /cancelled or its time ran out/);
    assert.equal(called().length, 1);
  });
});

describe('a GET', () => {
  for (const transition of ['headed', 'queried', 'shared', 'declared'])
    for (const lost of ['hang', 504] as const)
      it(`that may change something is called once, and nobody knows what came of it: ${transition}, ${lost}`, async () => {
        const [errorClass, run] = await outcomeOf(transition, lost, 200, 200);
        assert.deepEqual([errorClass, run.state.status], ['unknown_outcome', 'stuck']);
        assert.equal(target.requests.length, 1);
      });

  it('that changes nothing is called again', async () => {
    assert.equal((await outcomeOf('plain', 'hang', 504, 200))[0], 'executed');
    assert.equal(target.requests.length, 3);
  });
});

it('a read whose connection has got a header since that makes it another method is not called', async () => {
  const { deps } = governed;
  const headers = { 'X-HTTP-Method-Override': 'DELETE' };
  const connection = { kind: 'rest', baseUrl: target.url, allowPrivate: true, headers } as const;
  for (const [transition, expected] of [
    ['reads', 'permanent'],
    ['plain', 'permanent'],
    ['declared', 'executed'],
  ] as const) {
    target.say(200);
    const run = await governed.start(
      'f',
      {},
      {
        ...deps,
        policySet: async (q) => ({
          ...(await deps.policySet(q)),
          connections: [{ name: 'main', targets: [{ environment: null, connection }] }],
        }),
      },
    );
    await run.submit(starter, transition);
    const said = await run.execute();
    assert.equal(said?.status === 'refused' ? said.errorClass : said?.status, expected, transition);
    assert.equal(target.requests.length, expected === 'executed' ? 1 : 0);
  }
});

it('what answers a megabyte that is no text has done it, and the answer is kept', async () => {
  const headers = { 'content-type': 'application/pdf' };
  const [status, run] = await outcomeOf('once', { headers, body: Buffer.alloc(1_048_576, 0xff) });
  assert.deepEqual([status, run.state.status], ['executed', 'running']);
});

describe('what a state does on its way in', () => {
  it('is a read where its author says so: it is tried again, and its records say it', async () => {
    target.say('hang', 504, 200);
    const run = await governed.start('f');
    await run.submit(starter, 'entering');
    assert.equal(run.state.executing?.action.tier, 'read_only');
    await run.execute();
    assert.deepEqual([run.state.state, run.state.status, called().length], ['looked', 'running', 3]);
    const own = (await run.records()).filter(({ type }) => type.startsWith('executor.'));
    assert.ok(own.length >= 6);
  });
});

describe('one approval', () => {
  const calls: readonly (readonly [string, readonly TargetAnswer[], readonly string[]])[] = [
    ['a refusal goes to the fallback at once', [401, 200], ['main', 'second']],
    ['a refusal after a retry does too', [429, 422, 200], ['main', 'main', 'second']],
    ['so does being sent on to another address', [308, 200], ['main', 'second']],
    ['a redirect that may answer what is done goes nowhere', [302, 200], ['main']],
    ['each fallback is called once', [422, 503, 422], ['main', 'second', 'third']],
    [
      'fallbacks follow the last attempt',
      [503, 503, 503, 503, 200],
      ['main', 'main', 'main', 'main', 'second'],
    ],
  ];
  for (const [how, says, expected] of calls)
    it(`is no more calls than it says: ${how}`, async () => {
      target.say(...says);
      const run = await governed.start('f');
      await run.submit(starter, 'backed');
      await approve(run);
      await run.execute();
      assert.deepEqual(called(), expected);
      assert.equal(keys().length, 1);
      const started = (await run.records()).filter((record) => record.type === 'executor.started');
      assert.deepEqual(
        started.map((record) => record.data['connection']),
        expected,
      );
    });
});

describe('one activity', () => {
  const around = aroundExecution();

  for (const [what, transition, gated] of [
    ['a retry without delay', 'tries', false],
    ['a fallback', 'backed', true],
  ] as const)
    it(`makes one call, since its time-out is that of one: ${what} is another try`, async () => {
      target.say(transition === 'tries' ? 503 : 422, 200);
      const run = await governed.start('f');
      await run.submit(starter, transition);
      if (gated) await approve(run);
      const action = run.state.executing?.action.id ?? '';
      const once = () => execute(governed.deps, { run: run.id, action }, around);
      await assert.rejects(once(), { type: 'ATTEMPT_FAILED', nonRetryable: false, nextRetryDelay: 1 });
      assert.equal(target.requests.length, 1);
      await once();
      assert.equal(target.requests.length, 2);
      assert.equal(keys().length, 1);
    });
});

describe('a target that asks to wait', () => {
  const later = (value: string) => ({ status: 429, headers: { 'retry-after': value } });
  const waits: readonly (readonly [string, number])[] = [
    ['120', 120_000],
    ['1000000000', 3_600_000],
    ['99999999999999999999999', 3_600_000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 3_600_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    ['-5', 0],
    ['soon', 0],
  ];
  for (const [value, longestMs] of waits)
    it(`\`${value}\` is heard, and never longer than an hour or the run`, async () => {
      target.say(later(value));
      const run = await governed.start('f');
      await run.submit(starter, 'waits');
      const tried = await run.execute().then(
        () => null,
        (error: unknown) => error as { readonly nextRetryDelay?: number },
      );
      const retrying = (await run.records()).find((record) => record.type === 'executor.retrying');
      const delayMs = retrying?.data['delayMs'];
      assert.ok(
        typeof delayMs === 'number' && delayMs <= longestMs && delayMs >= longestMs - 60_000,
        String(delayMs),
      );
      assert.equal(tried === null, longestMs === 0);
    });

  it('is heard no longer than what is left of the run', async () => {
    target.say(later('3600'));
    const run = await governed.start('brief');
    await run.submit(starter, 'waits');
    const failure = (await run.execute().catch((error: unknown) => error)) as { nextRetryDelay?: number };
    const retrying = (await run.records()).find((record) => record.type === 'executor.retrying');
    const waits = [retrying?.data['delayMs'], failure.nextRetryDelay].map(Number);
    for (const delayMs of waits) assert.ok(delayMs > 0 && delayMs <= 60_000, String(waits));
  });

  it('is asked again when its next attempt is due, which the store says', async () => {
    target.say(later('120'));
    const run = await governed.start('f');
    await run.submit(starter, 'waits');
    await assert.rejects(run.execute());
    const action = run.state.executing?.action.id ?? '';
    const [attempt] = await listAttempts(governed.deps.pool, action);
    assert.ok(attempt?.nextAt !== null && attempt?.finishedAt !== null && attempt !== undefined);
    assert.equal(Date.parse(attempt.nextAt) - Date.parse(attempt.finishedAt), 120_000);
  });
});

describe('an approval is for what its connection stands for', () => {
  after(() => delete process.env['COUNTERSIGN_TEST_ADDRESS']);

  const approved = async (deps = governed.deps): Promise<Handle> => {
    process.env['COUNTERSIGN_TEST_ADDRESS'] = target.url;
    target.say();
    const run = await governed.start('f', {}, deps);
    await run.submit(starter, 'moves');
    await approve(run);
    return run;
  };

  it('executes at the address of `env://` that was approved', async () => {
    await (await approved()).execute();
    assert.deepEqual(called(), ['named']);
  });

  for (const [how, value] of [
    ['another address', 'http://127.0.0.1:1'],
    ['another path of the same host', '/v2'],
    ['nothing', undefined],
  ] as const)
    it(`refuses when \`env://\` stands for ${how} by then`, async () => {
      const run = await approved();
      if (value === undefined) delete process.env['COUNTERSIGN_TEST_ADDRESS'];
      else process.env['COUNTERSIGN_TEST_ADDRESS'] = value.startsWith('/') ? target.url + value : value;
      await run.execute();
      assert.deepEqual(called(), []);
      const failed = (await run.records()).find((record) => record.type === 'executor.failed');
      assert.match(String(failed?.data['message']), /connection .* is not the one that it was approved for/);
    });

  it('calls over the very connection that it compared, whatever is reloaded meanwhile', async () => {
    const elsewhere = await makeTarget();
    try {
      const { deps } = governed;
      let reads = 0;
      let reloaded = false;
      const run = await approved({
        ...deps,
        policySet: async (q) => {
          const set = await deps.policySet(q);
          if (reloaded) reads += 1;
          if (reads < 2) return set;
          const connection = {
            kind: 'rest',
            baseUrl: elsewhere.url,
            allowPrivate: true,
            headers: {},
          } as const;
          return { ...set, connections: [{ name: 'named', targets: [{ environment: null, connection }] }] };
        },
      });
      reloaded = true;
      await run.execute();
      assert.deepEqual(called(), ['named']);
      assert.equal(elsewhere.requests.length, 0);
    } finally {
      await elsewhere.close();
    }
  });
});

describe('a floor that was added since it was granted', () => {
  const floor = (roles: readonly string[]): FloorEntry => ({
    ...{ tiers: ['reversible'], roles, queue: null, quorum: { count: 1, perRole: [] }, reason: 'optional' },
    ...{ separation: { requester: true, author: false, promoter: false } },
    timeout: { afterMs: 3_600_000, action: 'deny', to: [] },
  });
  /** A run whose policies have these floors from when it is told. */
  const floored = async (
    ...floors: readonly FloorEntry[]
  ): Promise<{ readonly run: Handle; readonly hands: ActivityDeps; readonly add: () => void }> => {
    const { deps } = governed;
    let added = false;
    const policySet: typeof deps.policySet = async (q) => {
      const set = await deps.policySet(q);
      const dev = {
        name: 'dev',
        requireTiers: false,
        refuseWarnings: false,
        gateTimeoutMs: 3_600_000,
        floors,
      };
      return added ? { ...set, environments: [dev] } : set;
    };
    process.env['COUNTERSIGN_TEST_ADDRESS'] = target.url;
    const hands = { ...deps, policySet };
    return {
      ...{ hands, run: await governed.start('f', {}, hands) },
      add: () => {
        added = true;
      },
    };
  };
  const isRefused = async (run: Handle, says: RegExp, calls: number, state = 'a'): Promise<void> => {
    await run.execute();
    assert.equal(called().length, calls);
    const failed = (await run.records()).filter((record) => record.type === 'executor.failed').at(-1);
    assert.equal(failed?.data['code'], 'DIGEST_MISMATCH');
    assert.match(String(failed.data['message']), says);
    assert.deepEqual([run.state.state, run.state.executing], [state, null]);
  };
  after(() => delete process.env['COUNTERSIGN_TEST_ADDRESS']);

  it('is asked of what was granted without a gate, before it begins', async () => {
    target.say(200);
    const { run, add } = await floored(floor(['finance.controller']));
    await run.submit(starter, 'once');
    add();
    await isRefused(run, /environment dev: reversible.* approval .*ask again/u, 0);
    // Asked again, it waits.
    await run.submit(starter, 'once');
    assert.deepEqual([run.state.executing, run.state.approvals.length], [null, 1]);
  });

  it('is asked of what others approved than it names, and not of what its own people did', async () => {
    for (const [roles, isEnough] of [
      [['boss'], false],
      [['finance.controller'], true],
    ] as const) {
      target.say(200);
      const { run, add } = await floored(floor(roles));
      await run.submit(starter, 'moves');
      await approve(run);
      add();
      if (isEnough) assert.equal((await run.execute(), run.state.state), 'done');
      else await isRefused(run, /more by now .*roles.*ask again/u, 0);
    }
  });

  for (const [transition, state] of [
    ['waits', 'a'],
    ['enters', 'entered'],
  ] as const)
    it(`is asked before each further attempt while nothing of it can have happened (${transition})`, async () => {
      const { run, add } = await floored(floor(['finance.controller']));
      target.say({ status: 429, headers: { 'retry-after': '120' } }, 200);
      await run.submit(starter, transition);
      await assert.rejects(run.execute());
      const action = run.state.executing?.action.id ?? '';
      await governed.database.asSuperuser(
        `update execution_attempt set next_at = clock_timestamp() where action = '${action}'`,
      );
      add();
      await isRefused(run, /ask again/u, 1, state);
    });

  it('is asked of what a state does on its way in, before it begins', async () => {
    target.say(200);
    const { run, add } = await floored(floor(['finance.controller']));
    await run.submit(starter, 'enters');
    add();
    await isRefused(run, /environment dev: reversible.* approval .*ask again/u, 0, 'entered');
  });

  it('is not asked where the outcome of an attempt is unknown: what was begun is brought to its end', async () => {
    const { run, hands, add } = await floored(floor(['finance.controller']));
    target.say('hang', 200);
    await run.submit(starter, 'tries');
    const action = run.state.executing?.action.id ?? '';
    const once = () => execute(hands, { run: run.id, action }, aroundExecution());
    await assert.rejects(once(), { type: 'ATTEMPT_FAILED' });
    add();
    await once();
    assert.equal(called().length, 2);
  });
});

describe('the record of an answer', () => {
  it('names the numbers that are kept as text, and the output holds them so', async () => {
    const [, run] = await outcomeOf('once', { body: '{"id": 1234567890123456789, "n": 1.5}' });
    const succeeded = (await run.records()).find((record) => record.type === 'executor.succeeded');
    assert.deepEqual(succeeded?.data['exact'], ['/id']);
  });
});

describe('a transition that is named in another script', () => {
  it('runs, and its key is ASCII and its own', async () => {
    const keyOf = async (transition: string): Promise<string> => {
      const [status] = await outcomeOf(transition, 200);
      assert.equal(status, 'executed');
      return String(target.requests[0]?.headers['idempotency-key']);
    };
    const own = await keyOf('réserver ✓');
    assert.match(own, /^[!-~]+$/);
    assert.match(own, /:r%C3%A9server%20%E2%9C%93:/);
    assert.match(await keyOf('r%C3%A9server ✓'), /:r%25C3%25A9server%20%E2%9C%93:/);
  });
});
