import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DeterminismViolationError } from '@temporalio/workflow';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import { replayHistory } from '../../src/client/replay/replay-history.js';
import { kernelVersion, oldestKernelVersion } from '../../src/workflows/versions.js';
import { projectRoot } from '../../testing/paths.js';
import { draw, inCampaigns } from '../../testing/samples.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

// Histories of real runs, recorded by `npm run record:histories`. Runs that are parked today wake up
// on tomorrow's kernel: it must take the same way through all of these.

const folder = join(projectRoot, 'test', 'histories');
const dist = join(projectRoot, 'dist');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

/** Of the first kernel nothing was ever in service. */
const firstVersion = oldestKernelVersion;

function recorded(file: string): History {
  return historyFromJSON(JSON.parse(readFileSync(join(folder, file), 'utf8')));
}

async function replay(file: string, codePath: string): Promise<void> {
  const history = recorded(file);
  const run = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId;
  assert.ok(run, 'the history begins with a start');
  const options = {
    workflowBundle: { codePath },
    dataConverter: { payloadConverterPath: join(dist, 'workflows', 'payload-converter.js') },
  };
  await Worker.runReplayHistory(options, history, run);
}

/** As the replay check does it. */
async function check(file: string, bundle: string): Promise<string | null> {
  const json = JSON.parse(readFileSync(join(folder, file), 'utf8')) as unknown;
  const { workflowId } = recorded(file).events?.[0]?.workflowExecutionStartedEventAttributes ?? {};
  return replayHistory(bundle, workflowId ?? '', json);
}

describe('recorded histories', () => {
  const changed = temporaryFolder('changed-kernel');
  before(() => {
    const logging = { filter: 'off', forward: {} };
    Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  });
  after(() => rmSync(changed, { recursive: true, force: true }));

  it('cover every kernel version, and every way that a run has gone', () => {
    for (let version = firstVersion; version <= kernelVersion; version += 1)
      assert.ok(files.filter((name) => name.startsWith(`kernel-${version}-`)).length >= 13);
    assert.ok(files.every((name) => Number(/^kernel-(\d+)-/.exec(name)?.[1]) >= firstVersion));
  });

  for (const file of files)
    it(`replay on this build, with the inputs and the timers that they had: ${file}`, async () => {
      assert.equal(await check(file, join(dist, 'workflow-bundle.js')), null);
    });

  /** The built workflows with one text replaced, bundled as scripts/build.mjs does. */
  async function bundleChanged(name: string, file: string, from: string, to: string): Promise<string> {
    const workflows = join(changed, name, 'workflows');
    // With what they use of other rooms.
    for (const room of ['workflows', 'model'])
      cpSync(join(dist, room), join(changed, name, room), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(changed, name, 'node_modules'));
    const path = join(workflows, file);
    const text = readFileSync(path, 'utf8');
    assert.ok(text.includes(from), `${file} has no \`${from}\` to change`);
    writeFileSync(path, text.replace(from, to));
    const { code } = await bundleWorkflowCode({
      workflowsPath: join(workflows, 'index.js'),
      payloadConverterPath: join(workflows, 'payload-converter.js'),
      failureConverterPath: join(workflows, 'failure-converter.js'),
      workflowInterceptorModules: [join(workflows, 'telling.js')],
      logger: new DefaultLogger('ERROR'),
    });
    const bundle = join(changed, `${name}.js`);
    writeFileSync(bundle, code);
    return bundle;
  }

  /** The same in what is built already, where the text stands as it does in its source. */
  function editBundle(name: string, from: string, to: string): string {
    const text = readFileSync(join(dist, 'workflow-bundle.js'), 'utf8');
    assert.equal(text.split(from).length, 2, `the bundle has no \`${from}\` to change`);
    const bundle = join(changed, `${name}.js`);
    writeFileSync(bundle, text.replace(from, to));
    return bundle;
  }

  const wiring = 'const kernel = makeKernel(known, makePorts(known.kernel));';

  it('replay on a kernel that was changed in words only', inCampaigns, async () => {
    const bundle = await bundleChanged('same', 'run.js', wiring, `void 'other words';\n${wiring}`);
    for (const file of files) await replay(file, bundle);
  });

  it('fail on a kernel whose commands come in another order', inCampaigns, async () => {
    const bundle = await bundleChanged('sleepy', 'run.js', wiring, `await sleep('1 ms');\n${wiring}`);
    for (const file of files)
      await assert.rejects(replay(file, bundle), DeterminismViolationError, `${file} replayed`);
  });

  it('fail on a kernel that has lost a command', async () => {
    const arming = 'memory.timer = { at, handle: ports.startTimer(ms, fire) };';
    const bundle = editBundle('armless', arming, '');
    const armed = files.filter((file) =>
      recorded(file).events?.some((event) => event.timerStartedEventAttributes),
    );
    assert.ok(armed.length > 5);
    for (const file of draw(armed, 3))
      await assert.rejects(replay(file, bundle), DeterminismViolationError, `${file} replayed`);
  });

  it('fail on a kernel whose timers or inputs are others', async () => {
    const file = 'kernel-4-payment-approved.json';
    const longer = editBundle('longer', 'Math.max(at - ports.now(),', 'Math.max(at + 1 - ports.now(),');
    assert.match(
      (await check(file, longer)) ?? '',
      /^event \d+: a timer of another length than the kernel sets/u,
    );
    const other = editBundle('other', 'run: memory.ports.run, action', "run: 'another', action");
    assert.match(
      (await check(file, other)) ?? '',
      /^event \d+: an activity with another input than the kernel/u,
    );
  });

  it(
    'fail on a kernel that takes what one step was given for all that a replay brings at once',
    inCampaigns,
    async () => {
      const rest = '...waiting.slice(given)';
      const bundle = editBundle('forgetful', rest, '');
      const file = 'kernel-2-payment-delivered-in-parts.json';
      await assert.rejects(replay(file, bundle), DeterminismViolationError);
    },
  );
});
