import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { benchPolicies, connectGoverned, type Governed } from '../../bench/governed.js';
import type * as Replay from '../../src/client/replay/replay.js';
import { asSuperuser } from '../../testing/servers/database.js';
import { projectRoot } from '../../testing/paths.js';
import { inCampaigns, inCampaignsUnless } from '../../testing/samples.js';
import { joinStack } from '../../testing/servers/joint-stack.js';
import type { Stack } from '../../testing/servers/stack.js';

// A replay tells a history that is not the run's own from the one that is: one lie for each thing that it compares.

const dist = join(projectRoot, 'dist');
type Event = NonNullable<History['events']>[number];
type Payload = { data?: Uint8Array | null };

/** Replaces a value of the first payload that has it. */
function edit(payloads: readonly Payload[], name: string, value: unknown): void {
  for (const payload of payloads) {
    const text = Buffer.from(payload.data ?? []).toString('utf8');
    if (!text.includes(`"${name}":`)) continue;
    payload.data = Buffer.from(JSON.stringify({ ...(JSON.parse(text) as object), [name]: value }));
    return;
  }
  assert.fail(`no payload has \`${name}\``);
}

const eventsOf = ({ events }: History): Event[] => [...(events ?? [])];
const stepResults = (history: History): Payload[] =>
  eventsOf(history)
    .flatMap((event) => event.markerRecordedEventAttributes?.details?.['result']?.payloads ?? [])
    .reverse();
const startInputs = (history: History): Payload[] =>
  eventsOf(history).flatMap((event) => event.workflowExecutionStartedEventAttributes?.input?.payloads ?? []);
/** The input of the workflow, with one value of its start's bell replaced. */
const editStart =
  (name: string, value: string) =>
  (history: History): void => {
    const [payload] = startInputs(history);
    const { start } = JSON.parse(Buffer.from(payload?.data ?? []).toString('utf8')) as { start: object };
    edit(startInputs(history), 'start', { ...start, [name]: value });
  };
/** The input of the workflow, as if another history had left this to it. */
const carry =
  (carried: object) =>
  (history: History): void =>
    edit(startInputs(history), 'carried', carried);
const bells = (history: History): Payload[] =>
  eventsOf(history).flatMap((event) => event.workflowExecutionSignaledEventAttributes?.input?.payloads ?? []);

const joint = joinStack(() => ({ policies: benchPolicies }));

describe('a replay', () => {
  let stack: Stack;
  let governed: Governed;
  let run: string;
  let replayRun: typeof Replay.replayRun;
  before(async () => {
    // Built, since it replays in a process of its own.
    const built: unknown = await import(pathToFileURL(join(dist, 'client', 'replay', 'replay.js')).href);
    ({ replayRun } = built as typeof Replay);
    stack = await joint();
    governed = await connectGoverned(stack);
    const parked = await governed.park();
    await governed.approve(parked);
    await governed.ended(parked.run);
    run = parked.run;
  });
  after(() => governed.close());

  /** Executions that are listed before those, and deleted. */
  let olderOnes = 0;
  type Change = (history: History) => void;
  /** What a replay says where Temporal has, under the run's id, the run's own history and before it those that were changed. */
  const replayed = async (...changes: readonly Change[]): Promise<Replay.ReplayReport> => {
    const { deps } = governed;
    const handle = deps.temporal.workflow.getHandle(run);
    const histories = new Map<string, History>();
    for (const [index, change] of changes.entries()) {
      const history = await handle.fetchHistory();
      change(history);
      histories.set(`execution-${index}`, history);
    }
    const older = Array.from({ length: olderOnes }, (_, index) => `older-${index}`);
    const names = [...older, ...histories.keys()];
    const listed = names.map((runId, index) => ({ runId, startTime: new Date(index) }));
    const workflow = {
      list: () => listed,
      getHandle: (_: string, execution: string) => ({
        describe: () => Promise.resolve(listed.at(-1)),
        fetchHistory: () => {
          const history = histories.get(execution);
          const gone = new WorkflowNotFoundError('deleted', run, execution);
          return history === undefined ? Promise.reject(gone) : Promise.resolve(history);
        },
      }),
    };
    const told = { workflow } as unknown as Client;
    const workflowBundle = join(dist, 'workflow-bundle.js');
    const report = await replayRun({ ...deps, workflowBundle, forNamespace: () => told }, run);
    assert.ok(report !== 'busy');
    return report;
  };
  const failing = async (...changes: readonly Change[]): Promise<readonly string[]> => {
    const { ok, checks } = await replayed(...changes);
    const names = checks.flatMap((check) => (check.ok ? [] : [check.name]));
    assert.equal(ok, names.length === 0);
    return names;
  };
  const nothing: Change = () => undefined;
  const anotherActivity: Change = (history) => {
    const scheduled = eventsOf(history).find((event) => event.activityTaskScheduledEventAttributes);
    const { activityType } = scheduled?.activityTaskScheduledEventAttributes ?? {};
    assert.ok(activityType);
    activityType.name = 'another';
  };

  it('of its own history finds nothing', async () => {
    assert.deepEqual(await failing(nothing), []);
  });

  it('says that the kernel goes another way than the history', async () => {
    assert.deepEqual(await failing(anotherActivity), ['kernel']);
  });

  it("says so of an older history under the run's id too, and of which", inCampaigns, async () => {
    assert.deepEqual(await failing(nothing, nothing), []);
    const { checks } = await replayed(nothing, anotherActivity, nothing);
    assert.match(checks.find(({ name }) => name === 'kernel')?.detail ?? '', /^execution execution-1: /u);
    const names = await failing((history) => edit(stepResults(history), 'state', 'elsewhere'), nothing);
    assert.ok(names.includes('steps'), names.join());
  });

  it(
    'has nothing to say of an execution that has not begun, and blames no other for it',
    inCampaigns,
    async () => {
      const notBegun: Change = (history) => {
        history.events = eventsOf(history).slice(0, 1);
      };
      assert.deepEqual(await failing(notBegun, nothing), []);
      const { checks } = await replayed(notBegun, anotherActivity);
      assert.match(checks.find(({ name }) => name === 'kernel')?.detail ?? '', /^execution execution-1: /u);
    },
  );

  it(
    'is not content with a part: what is more than it reads is said, and is no yes',
    inCampaigns,
    async () => {
      try {
        for (const [listed, names] of [
          [499, []],
          [500, ['kernel']],
        ] as const) {
          olderOnes = listed;
          assert.deepEqual(await failing(nothing), names);
        }
      } finally {
        olderOnes = 0;
      }
    },
  );

  it('says how many steps of the store no history has', inCampaigns, async () => {
    const { ok, checks } = await replayed((history) => {
      const last = eventsOf(history).findLastIndex((event) => event.markerRecordedEventAttributes);
      history.events = eventsOf(history).slice(0, last);
    });
    const steps = checks.find(({ name }) => name === 'steps');
    assert.match(steps?.detail ?? '', /; [1-9]\d* more of the store stand in no history that was read$/u);
    assert.ok(ok || checks.some((check) => !check.ok && check.name === 'kernel'));
  });

  for (const [name, value] of [
    ['digest', `sha256:${'0'.repeat(64)}`],
    ['head', `sha256:${'0'.repeat(64)}`],
    ['state', 'elsewhere'],
    ['runStatus', 'stuck'],
    ['version', 99],
    ['wakeAt', 1_800_000_000_000],
    ['execution', { action: 'act_00000000000000000000000000000000', timeoutMs: 30_000 }],
    ['cancelling', true],
    ['rev', 99],
  ] as const)
    it(
      `says that a step of the history is not the store's: \`${name}\``,
      inCampaignsUnless(name === 'digest'),
      async () => {
        const names = await failing((history) => edit(stepResults(history), name, value));
        assert.ok(names.includes('steps'), names.join());
      },
    );

  it(
    'says that a step of the history goes on from another past, which the store knows nothing of',
    inCampaigns,
    async () => {
      const first = (history: History): Payload[] => stepResults(history).slice(-1);
      const names = await failing((history) => edit(first(history), 'isForked', true));
      assert.ok(names.includes('steps'), names.join());
    },
  );

  it(
    'says that an activity of the history has another input than the kernel gives it',
    inCampaigns,
    async () => {
      const inputs = (history: History): Payload[] =>
        eventsOf(history).flatMap(
          (event) => event.activityTaskScheduledEventAttributes?.input?.payloads ?? [],
        );
      for (const name of ['run', 'action'])
        assert.deepEqual(await failing((history) => edit(inputs(history), name, 'another')), ['kernel']);
    },
  );

  it('says that a timer of the history is of another length than the kernel sets', inCampaigns, async () => {
    const names = await failing((history) => {
      const set = eventsOf(history).find((event) => event.timerStartedEventAttributes);
      const { startToFireTimeout: length } = set?.timerStartedEventAttributes ?? {};
      assert.ok(length?.seconds);
      length.seconds = length.seconds.add(1);
    });
    assert.deepEqual(names, ['kernel']);
  });

  it("says that the start's bell is of no message", inCampaigns, async () => {
    for (const [name, value] of [
      ['digest', 'sha256:another'],
      ['id', 'msg_00000000000000000000000000000000'],
    ] as const)
      assert.deepEqual(await failing(editStart(name, value)), ['messages']);
  });

  it('says that what one history has left to the next is not what the store has', inCampaigns, async () => {
    const left = {
      rev: 1,
      digest: 'sha256:another',
      head: '',
      state: '',
      status: 'running',
      version: 0,
      wakeAt: null,
    };
    for (const digest of [left.digest, null])
      assert.ok((await failing(carry({ ...left, digest, dropped: false }))).includes('steps'));
    const forged = { id: 'msg_another', kind: 'cancel', digest: 'sha256:d', keyId: 'k', signature: 's' };
    const names = await failing(carry({ ...left, dropped: true, bells: [forged], unread: false }));
    assert.ok(names.includes('messages'), names.join());
  });

  it('says that a decision came without its bell', inCampaigns, async () => {
    const names = await failing((history) => {
      for (const { workflowExecutionSignaledEventAttributes: signal } of eventsOf(history)) {
        if (signal?.signalName !== 'decide') continue;
        signal.signalName = 'wake';
        signal.input = null;
      }
    });
    assert.deepEqual(names, ['messages']);
  });

  it('says that a bell of the history is of no message', async () => {
    const names = await failing((history) => edit(bells(history), 'digest', 'sha256:another'));
    assert.deepEqual(names, ['messages']);
  });

  it('says that a link of the chain does not hold', async () => {
    await asSuperuser(
      stack.databaseUrl,
      `alter table audit_record disable trigger user;
       update audit_record set body = convert_to(replace(convert_from(body, 'UTF8'), '"run.started"', '"run.retried"'), 'UTF8')
        where run = '${run}';
       alter table audit_record enable trigger user`,
    );
    assert.deepEqual(await failing(nothing), ['chain']);
  });
});
