// Mostly waits: for an execution whose worker has died to be missed.
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { startStack, type Stack } from '../../../testing/servers/stack.js';
import { audit, getRun, startRun, until } from '../../../testing/flows.js';

// A run that is to end while its effect is under way, and the worker dies: Temporal does not try that effect again, so
// its run hears of no outcome. It ends all the same.

const timeoutSeconds = 15;
/** What the product promises over the executor's timeout. */
const mostMs = (timeoutSeconds + 30) * 1_000;

const transition = (name: string, executor: string): string => `
          ${name}:
            target: done
            tier: reversible
            executor: { kind: rest, connection: target, method: POST, path: /${name}${executor} }`;
const reliability = `, reliability: { timeout: ${timeoutSeconds}s }`;
const flows = `
version: 1
workflows:
  held:
    owner: test
    initialState: open
    states:
      open:
        transitions:${transition('keyed', `, idempotencyKey: true${reliability}`)}${transition('bare', reliability)}${transition(
          'again',
          `, idempotencyKey: true, reliability: { timeout: ${timeoutSeconds}s, retry: { maxAttempts: 3, backoff: fixed, initialDelayMs: 60000, maxDelayMs: 60000 } }`,
        )}
      done: { terminal: true }
  timed:
    owner: test
    initialState: open
    timeout: 2s
    states:
      open:
        transitions:${transition('late', `, idempotencyKey: true${reliability}`)}
      done: { terminal: true }
`;

interface Target {
  readonly url: string;
  /** Requests to that path; of those that are held, none has an answer. */
  count(path: string): number;
  /** Answers what is held and all that comes. */
  release(): void;
  hold(): void;
  close(): Promise<void>;
}

async function startTarget(): Promise<Target> {
  const counts = new Map<string, number>();
  const held: ServerResponse[] = [];
  let isHolding = true;
  const answer = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"done":true}');
  };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const path = request.url ?? '';
      counts.set(path, (counts.get(path) ?? 0) + 1);
      if (path === '/again') response.writeHead(503).end();
      else if (isHolding) held.push(response);
      else answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: (path) => counts.get(path) ?? 0,
    release: () => {
      isHolding = false;
      held.splice(0).forEach(answer);
    },
    hold: () => {
      isHolding = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('a run that is to end during an effect whose worker dies', () => {
  let stack: Stack;
  let target: Target;
  before(async () => {
    target = await startTarget();
    stack = await startStack({
      env: { TARGET_URL: target.url },
      policies: {
        'connections.yaml':
          "version: 1\nconnections: { target: { kind: rest, baseUrl: 'env://TARGET_URL', allowPrivate: true } }\n",
        'flows/held.yaml': flows,
      },
    });
  });
  after(async () => {
    await stack.stop();
    await target.close();
  });

  const begin = async (flow: string, name: string): Promise<string> => {
    const before = target.count(`/${name}`);
    const { run } = await startRun(stack, 'agent', flow, {});
    const path = `/v1/runs/${run.id}/transitions/${name}?wait=0`;
    const sent = await stack.fetchAs('agent', 'POST', path, {});
    assert.equal(sent.status, 202, JSON.stringify(sent.body));
    await until('the call', async () => target.count(`/${name}`) > before);
    return run.id;
  };
  const cancel = async (run: string): Promise<void> => {
    const { status, body } = await stack.fetchAs('admin', 'POST', `/v1/runs/${run}/cancel?wait=0`, {
      reason: 'given up',
    });
    assert.ok(status < 300, JSON.stringify(body));
    // Before that, a worker that dies has its effect tried again.
    await until('the cancel to be in the history', async () => {
      const history = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
      return JSON.stringify(history.body).includes('EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED');
    });
  };
  const killWorker = async (): Promise<void> => {
    await stack.worker.kill('SIGKILL');
    await stack.worker.restart();
  };
  const ended = (run: string) =>
    until(
      `${run} to end`,
      async () => {
        const { run: now } = await getRun(stack, 'admin', run);
        return now.status === 'running' || now.status === 'waiting' ? null : now;
      },
      mostMs,
    );
  const actionOf = async (run: string): Promise<{ status: string }> => {
    const [started] = await audit(stack, run, 'executor.started');
    const action = (started as unknown as { action: { id: string } }).action.id;
    return (await stack.fetchAs('admin', 'GET', `/v1/actions/${action}`)).body as { status: string };
  };
  /** Nothing waits any more: neither its own messages nor another run's. */
  const isQuiet = async (run: string): Promise<void> => {
    const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${run}/replay`);
    assert.equal(body.ok, true, JSON.stringify(body));
    const other = await startRun(stack, 'agent', 'held', {});
    assert.equal(other.run.status, 'running');
  };

  for (const name of ['keyed', 'bare']) {
    it(`cancelled: it ends with an unknown outcome, and the call is not made again (${name})`, async () => {
      target.hold();
      const run = await begin('held', name);
      const calls = target.count(`/${name}`);
      await cancel(run);
      await killWorker();
      const { status } = await ended(run);
      assert.ok(status === 'cancelled' || status === 'stuck', status);
      assert.equal((await actionOf(run)).status, 'unknown');
      assert.equal(target.count(`/${name}`), calls);
      assert.equal((await audit(stack, run, 'executor.succeeded')).length, 0);
      await isQuiet(run);
    });
  }

  it('cancelled between two attempts: it ends cancelled, and no other attempt is made', async () => {
    const run = await begin('held', 'again');
    await until(
      'the wait for the next attempt',
      async () => (await audit(stack, run, 'executor.retrying')).length > 0,
    );
    const calls = target.count('/again');
    await cancel(run);
    await killWorker();
    const { status } = await ended(run);
    assert.equal(status, 'cancelled');
    assert.equal((await actionOf(run)).status, 'failed');
    assert.equal(target.count('/again'), calls);
    await isQuiet(run);
  });

  it('its time is up: the effect has its outcome first, under the same key, and then it ends', async () => {
    target.hold();
    const run = await begin('timed', 'late');
    await stack.worker.kill('SIGKILL');
    target.release();
    await stack.worker.restart();
    const { status } = await ended(run);
    assert.ok(['timed_out', 'completed'].includes(status), status);
    assert.equal((await actionOf(run)).status, 'executed');
    await isQuiet(run);
  });
});
