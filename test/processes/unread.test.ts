import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { freePort } from '../../src/embedded/process/ports.js';
import { getRun, startRun, submit, until } from '../../testing/flows.js';
import { projectRoot } from '../../testing/paths.js';
import { inCampaigns } from '../../testing/samples.js';
import { makeEmptyDatabase, temporaryFolder, testVariable } from '../../testing/servers/servers.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';

const policies = {
  'flows/f.yaml': `
version: 1
workflows:
  f:
    owner: test
    initialState: open
    states:
      open: { transitions: { go: { target: done, executor: { kind: noop } } } }
      done: { terminal: true }
`,
};

const started: ChildProcess[] = [];
afterEach(() => started.splice(0).forEach((child) => child.kill('SIGKILL')));

/** Its reader has gone before it says anything; or all that it says goes to a disk that is full. */
function start(
  settings: Readonly<Record<string, string>>,
  name: string,
  output: 'closed' | 'full',
  port = 0,
): ChildProcess {
  const full = openSync('/dev/full', 'w');
  const to = output === 'full' ? full : 'pipe';
  const child = spawn(process.execPath, [join(projectRoot, 'bin', 'countersign.mjs'), name], {
    cwd: projectRoot,
    env: { ...process.env, ...settings, PORT: String(port) },
    stdio: ['ignore', to, to],
  });
  started.push(child);
  closeSync(full);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return child;
}

it('a command of which nobody reads what it says migrates to its end, which its exit code tells', async () => {
  const database = await makeEmptyDatabase();
  const home = temporaryFolder('unread');
  const settings = {
    ...{ DATABASE_URL: database.url, COUNTERSIGN_HOME: home },
    TEMPORAL_ADDRESS: testVariable('TEST_TEMPORAL_ADDRESS'),
  };
  try {
    assert.deepEqual(await once(start(settings, 'migrate', 'closed'), 'exit'), [0, null]);
  } finally {
    await database.drop();
    rmSync(home, { recursive: true });
  }
});

describe('a process of which nobody reads what it says', inCampaigns, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ policies, startWorker: false });
  });
  after(() => stack.stop());

  const end = async (child: ChildProcess): Promise<unknown> => {
    if (child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    return child.exitCode;
  };

  it('serves as an API until it is told to stop', async () => {
    const port = await freePort();
    const api = start(stack.settings, 'api', 'closed', port);
    const answers = (): Promise<true | null> =>
      fetch(`http://127.0.0.1:${port}/livez`).then(
        ({ status }) => (status === 200 ? true : null),
        () => (api.exitCode === null ? null : assert.fail(`it ended with ${api.exitCode}`)),
      );
    await until('it answers', answers, 60_000);
    assert.equal(await end(api), 0);
  });

  it('works as a worker until it is told to stop, though the disk is full', async () => {
    const worker = start(stack.settings, 'worker', 'full');
    const { run } = await startRun(stack, 'agent', 'f', {});
    await submit(stack, 'agent', run.id, 'go');
    const isDone = async (): Promise<true | null> =>
      (await getRun(stack, 'agent', run.id)).run.status === 'completed' || null;
    await until('the run is completed', isDone, 60_000);
    assert.equal(await end(worker), 0);
  });
});
