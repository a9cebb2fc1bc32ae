import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makePool, type Pool } from '../../src/db/index.js';
import { action, startRun, until } from '../../testing/flows.js';
import { holdRun } from '../../testing/servers/locks.js';
import { startStack, type Answer, type Stack } from '../../testing/servers/stack.js';

// A process that is told to stop, as in a rolling deploy: nobody who asked it for something is left without an answer.

const policies = {
  'connections.yaml': 'connections: { shell: { kind: cli, command: /bin/sh, args: ["-c"] } }\n',
  'flows/work.yaml': `
version: 1
workflows:
  work:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          slow: { target: open, tier: reversible, executor: { kind: cli, connection: shell, args: ['sleep 9'] } }
          note:
            target: open
            inputSchema: { type: object, additionalProperties: false, properties: { n: { type: integer } } }
`,
};

describe('an API that is told to stop', () => {
  let stack: Stack;
  let pool: Pool;
  before(async () => {
    stack = await startStack({ policies });
    pool = makePool({ url: stack.databaseUrl, applicationName: 'test', max: 4 });
  });
  after(async () => {
    await pool.end();
    await stack.stop();
  });

  const start = async (): Promise<string> => (await startRun(stack, 'agent', 'work', {})).run.id;
  const note = (run: string, n: number): Promise<Answer> =>
    stack.fetchAs(
      'agent',
      'POST',
      `/v1/runs/${run}/transitions/note`,
      { arguments: { n } },
      { 'idempotency-key': `${run}-${n}` },
    );
  const messagesOf = async (run: string): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::int as count from message where run = $1 and kind = 'submit'`,
      [run],
    );
    return rows[0]?.count ?? 0;
  };
  /** Its exit code, and how long it took to end. */
  const stopApi = async (signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> => {
    const from = Date.now();
    await stack.api.kill(signal);
    return { code: stack.api.exitCode, ms: Date.now() - from };
  };
  const assertExecuting = (answer: Answer): string => {
    const { status, body, headers } = answer;
    assert.deepEqual([status, body.result?.status], [202, 'executing'], JSON.stringify(body));
    assert.equal(headers.get('location'), body.result.poll);
    return body.result.poll as string;
  };

  it('answers at once whoever waits for an effect under way, with where to look, and ends with code 0', async () => {
    const run = await start();
    const submitted = stack.fetchAs('agent', 'POST', `/v1/runs/${run}/transitions/slow`, {});
    await until('the effect', async () => {
      const { rows } = await pool.query('select 1 from action where run = $1', [run]);
      return rows.length > 0;
    });
    const reason = { reason: 'no more' };
    const cancelled = stack.fetchAs('admin', 'POST', `/v1/runs/${run}/cancel?wait=30`, reason);
    await until('the cancel', async () => {
      const { rows } = await pool.query(`select 1 from message where run = $1 and kind = 'cancel'`, [run]);
      return rows.length > 0;
    });
    const { code, ms } = await stopApi('SIGTERM');
    const poll = assertExecuting(await submitted);
    assert.equal((await cancelled).status, 202);
    assert.equal(code, 0);
    assert.ok(ms < 5_000, `it took ${ms} ms`);
    await stack.api.restart();
    await action(stack, 'agent', poll, 'executed');
  });

  it('answers each of a burst to one run: 202 where it is kept, and else 503; what is kept is done, once', async () => {
    const run = await start();
    await stack.worker.kill();
    const all = Array.from({ length: 40 }, (_, n) => note(run, n));
    await until('some are kept', async () => (await messagesOf(run)) > 2);
    const { code, ms } = await stopApi('SIGINT');
    const answers = await Promise.all(all);
    const taken = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status }) => status !== 202);
    for (const { status, body, headers } of refused) {
      assert.equal(status, 503, JSON.stringify(body));
      assert.match(String(body.detail), /is stopping/);
      assert.ok(headers.has('retry-after'));
    }
    assert.equal(await messagesOf(run), taken.length, 'nothing of the others is kept');
    assert.equal(code, 0);
    assert.ok(ms < 5_000, `it took ${ms} ms`);
    await Promise.all([stack.api.restart(), stack.worker.restart()]);
    for (const answer of taken) await action(stack, 'agent', assertExecuting(answer), 'executed');
    const again = await Promise.all(answers.map((_, n) => note(run, n)));
    for (const { status, body } of again) assert.ok(status === 200 || status === 202, JSON.stringify(body));
    assert.equal(await messagesOf(run), 40, 'each is one message');
  });

  it('refuses those whose turn at the run has not come, at once, and answers also whom the store holds up', async () => {
    const run = await start();
    const held = await holdRun(stack.databaseUrl, run);
    const since = Date.now();
    const timed = async (n: number): Promise<Answer & { ms: number }> => {
      const answer = await note(run, n);
      return { ...answer, ms: Date.now() - since };
    };
    const all = Array.from({ length: 10 }, (_, n) => timed(n));
    await until('one that is held up', () => held.someoneWaits());
    const { code } = await stopApi('SIGTERM');
    const answers = await Promise.all(all);
    await held.release();
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([503]));
    assert.ok(answers.every(({ headers }) => headers.has('retry-after')));
    const atOnce = answers.filter(({ body }) => /nothing of it is kept, try again$/.test(body.detail));
    assert.equal(atOnce.length, 9, JSON.stringify(answers.map(({ body }) => body.detail)));
    assert.ok(
      atOnce.every(({ ms }) => ms < 4_000),
      JSON.stringify(atOnce.map(({ ms }) => ms)),
    );
    const [last] = answers.filter((answer) => !atOnce.includes(answer));
    assert.match(String(last?.body.detail), /it is not certain whether this was done: repeat the request/);
    assert.equal(code, 0);
    await stack.api.restart();
    // An attempt may still hold the key of the uncertain one; asking for all meanwhile would cost ten times as much.
    const isDone = async (n: number): Promise<boolean> => (await note(run, n)).status === 200;
    const uncertain = answers.findIndex((answer) => answer === last);
    await until('what was uncertain is done', () => isDone(uncertain), 60_000);
    await until('each is done', async () =>
      (await Promise.all(answers.map((_, n) => isDone(n)))).every((done) => done),
    );
    assert.equal(await messagesOf(run), 10);
  });
});
